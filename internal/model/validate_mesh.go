package model

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/stratahq/strata/internal/diag"
	"github.com/stratahq/strata/internal/proxy/config"
)

// podCertificatesSince is the minor version of Kubernetes 1 since which every cluster
// gives pods certificates (certificates.k8s.io/v1, PodCertificateRequest).
const podCertificatesSince = 37

// ControlPlane reports whether Strata's own control plane runs in the environment: for
// its mesh, or for gateways of its class.
func (e *Environment) ControlPlane() bool {
	return e.Spec.Mesh != MeshIstio || e.Spec.Ingress != nil && e.GatewayClass() == config.GatewayClass
}

// mesh checks that an environment's cluster, gateways and release can carry Strata's own
// mesh and gateways.
func (v *validator) mesh(e *Environment) {
	if !e.ControlPlane() {
		return
	}
	file := e.Source.File
	if c := e.Spec.Ingress; c != nil && e.Spec.Mesh != MeshIstio && e.GatewayClass() != config.GatewayClass {
		d := v.err(RuleMeshGateway, file, diag.P("spec", "ingress", "class"), "gateways of class %q have no identity in the mesh strata, so no workload lets them in", c.Class)
		d.Remedy = "Leave out the class, or say mesh: istio."
	}
	if e.Spec.Cloud == CloudLocal {
		return
	}
	v.meshVersion(e)
	rel, ok := v.r.Release(e.Metadata.Name)
	if !ok {
		return
	}
	if rel.Spec.Platform == nil {
		d := v.err(RuleNoPlatformImage, rel.Source.File, diag.P("spec"), "environment %q has Strata's own mesh or gateway, and its release names no images for them", e.Metadata.Name)
		d.OnKey = true
		d.Remedy = "Add spec.platform: {proxy: ..., control: ...}; strata image push gives the names. Or say mesh: istio in " + file + "."
		return
	}
	v.trusted(e, rel.Source.File, diag.P("spec", "platform", "proxy"), rel.Spec.Platform.Proxy)
	v.trusted(e, rel.Source.File, diag.P("spec", "platform", "control"), rel.Spec.Platform.Control)
}

// meshVersion checks that a cluster which Strata makes gives pods certificates.
func (v *validator) meshVersion(e *Environment) {
	c := e.Spec.Cluster
	if c == nil || c.Existing != nil {
		return
	}
	at, version := diag.P("spec", "cluster", "version"), c.Version
	if version == "" {
		at = diag.P("spec", "cluster")
		version, _ = v.c.PlatformDefaults("cluster")["version"].(string)
	}
	_, minor, _ := strings.Cut(version, ".")
	if n, err := strconv.Atoi(minor); err != nil || n >= podCertificatesSince {
		return
	}
	d := v.err(RuleMeshVersion, e.Source.File, at, "Kubernetes %s gives pods no certificates, which Strata's own mesh and gateway identify them by", version)
	d.Remedy = fmt.Sprintf("Take Kubernetes 1.%d or newer, or say mesh: istio.", podCertificatesSince)
}

// reservedPorts finds ports of containers that the mesh's proxy listens on.
func (v *validator) reservedPorts(w *Workload) {
	if w.Service == nil {
		return
	}
	for _, name := range SortedKeys(w.Service.Ports) {
		p, field := w.Service.Ports[name], "targetPort"
		if p.TargetPort == 0 {
			field = "port"
		}
		if n := p.Target(); n >= config.FirstPort && n <= config.LastPort {
			d := v.err(RuleReservedPort, w.Source.File, diag.P("service", "ports", name, field), "a container cannot listen on port %d: the proxy beside it has %d to %d", n, config.FirstPort, config.LastPort)
			d.Remedy = "Let the container listen on another port, and name that as targetPort."
		}
	}
}

// reservedNames finds names that the mesh's own container and Services have.
func (v *validator) reservedNames(w *Workload) {
	if _, ok := w.Containers[config.SidecarName]; ok {
		d := v.err(RuleReservedName, w.Source.File, diag.P("containers", config.SidecarName), "container %q would have the name of the proxy beside it", config.SidecarName)
		d.OnKey = true
		d.Remedy = "Choose another name."
	}
	of, ok := strings.CutSuffix(w.Metadata.Name, config.EndpointsSuffix)
	if o := v.workloads[of]; ok && o != nil && o.Service != nil && w.Service != nil && v.r.OwningTeam(o) == v.r.OwningTeam(w) {
		d := v.err(RuleReservedName, w.Source.File, diag.P("metadata", "name"), "workload %q would have the name of a Service that workload %q has in the mesh", w.Metadata.Name, of)
		d.Remedy = "Choose another name."
	}
}
