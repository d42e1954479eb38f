package kube

import (
	"net/netip"
	"net/url"
	"slices"
	"strconv"
	"strings"

	corev1 "k8s.io/api/core/v1"
	netv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// Variables of OpenTelemetry that every SDK knows
// (https://opentelemetry.io/docs/specs/otel/configuration/sdk-environment-variables).
const (
	// telemetryPrefix begins those that say where to send traces and metrics.
	telemetryPrefix   = "OTEL_EXPORTER_OTLP_"
	telemetryEndpoint = telemetryPrefix + "ENDPOINT"
	telemetryService  = "OTEL_SERVICE_NAME"
	telemetryAbout    = "OTEL_RESOURCE_ATTRIBUTES"
)

// telemetry adds to a container's environment what its program needs to send traces and
// metrics where the environment wants them, unless the workload says something else.
func (r *renderer) telemetry(vars []corev1.EnvVar) []corev1.EnvVar {
	if r.env.Telemetry == "" || slices.ContainsFunc(vars, func(v corev1.EnvVar) bool { return strings.HasPrefix(v.Name, telemetryPrefix) }) {
		return vars
	}
	for _, v := range []corev1.EnvVar{
		{Name: telemetryEndpoint, Value: r.env.Telemetry},
		{Name: telemetryService, Value: r.w.Name},
		{Name: telemetryAbout, Value: "service.namespace=" + r.w.Team + ",deployment.environment.name=" + r.env.Name},
	} {
		if !slices.ContainsFunc(vars, func(have corev1.EnvVar) bool { return have.Name == v.Name }) {
			vars = append(vars, v)
		}
	}
	return vars
}

// proxyTelemetry returns the variables of the sidecar: it sends where the workload's first
// container does that says where to, else where the environment wants.
func (r *renderer) proxyTelemetry(name string) []corev1.EnvVar {
	for _, c := range r.w.Containers {
		var vars []Variable
		for _, v := range c.Variables {
			if strings.HasPrefix(v.Name, telemetryPrefix) {
				vars = append(vars, v)
			}
		}
		if len(vars) > 0 {
			return r.variables(Container{Name: name, Variables: vars})
		}
	}
	return r.telemetry(nil)
}

// telemetryEgress lets pods reach where the environment's telemetry goes: a namespace of
// the cluster, an address, or a name elsewhere, of which only the port can be told.
func (env Env) telemetryEgress() []netv1.NetworkPolicyEgressRule {
	u, err := url.Parse(env.Telemetry)
	if err != nil || u.Hostname() == "" {
		return nil
	}
	port := 80
	if u.Scheme == "https" {
		port = 443
	}
	if n, err := strconv.Atoi(u.Port()); err == nil {
		port = n
	}
	to := netv1.NetworkPolicyPeer{IPBlock: &netv1.IPBlock{CIDR: "0.0.0.0/0", Except: []string{metadataService}}}
	labels := strings.Split(u.Hostname(), ".")
	if ip, err := netip.ParseAddr(u.Hostname()); err == nil {
		to.IPBlock = &netv1.IPBlock{CIDR: netip.PrefixFrom(ip, ip.BitLen()).String()}
	} else if len(labels) == 2 || len(labels) > 2 && labels[2] == "svc" {
		to = netv1.NetworkPolicyPeer{NamespaceSelector: &metav1.LabelSelector{MatchLabels: map[string]string{labelNamespace: labels[1]}}}
	}
	return []netv1.NetworkPolicyEgressRule{{To: []netv1.NetworkPolicyPeer{to}, Ports: []netv1.NetworkPolicyPort{netPort(port, "TCP")}}}
}
