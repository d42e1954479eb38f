package compile

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/stratahq/strata/internal/addr"
	"github.com/stratahq/strata/internal/compile/kube"
	"github.com/stratahq/strata/internal/graph"
	"github.com/stratahq/strata/internal/model"
)

// policyUnit is the unit of what the API server itself refuses.
const policyUnit = "policy"

// admissionUnit adds the unit with the admission rules. Workloads come after it, so that
// they are judged from the first one on. It is called when all of them are known.
func (c *Compiled) admissionUnit() error {
	env := c.env.Metadata.Name
	a := kube.Admission{Addr: addr.Platform(env, policyUnit), Registries: c.registries()}
	for _, image := range c.images() {
		slash := strings.LastIndexByte(image, '/')
		switch {
		case slices.ContainsFunc(a.Registries, func(r string) bool { return strings.HasPrefix(image, r) }):
		case slash > 0 && strings.Contains(image, "@"):
			// Where the release's images are from.
			a.Registries = append(a.Registries, image[:slash+1])
		default:
			a.Images = append(a.Images, image)
		}
	}
	var err error
	if a.Exceptions, err = c.exceptions(); err != nil {
		return err
	}
	c.admission = a
	c.add(graph.Unit{Addr: a.Addr, Layer: model.LayerSecurity, Kind: graph.Kube, DependsOn: c.have(addr.Foundation(env, "cluster"))})
	return nil
}

// localRegistry begins the names of images that are built on this machine.
const localRegistry = "strata.local/"

// registries returns what the names of images may begin with, whatever follows.
func (c *Compiled) registries() []string {
	var out []string
	add := func(r string) {
		if r = strings.TrimSuffix(r, "/") + "/"; r != "/" && !slices.Contains(out, r) {
			out = append(out, r)
		}
	}
	if c.env.Spec.Cloud == model.CloudLocal {
		add(localRegistry)
	} else {
		add(c.repo.Platform.Spec.Registry)
		for _, r := range c.repo.Platform.Spec.Trusted {
			add(r)
		}
	}
	if r := c.env.Spec.Registry; r != nil {
		url, _ := r.Existing["url"].(string)
		add(url)
	}
	return out
}

// images returns the images of the environment's workloads and of the platform's own
// programs, sorted.
func (c *Compiled) images() []string {
	var out []string
	for _, w := range c.workloads {
		for _, ct := range w.Containers {
			out = append(out, ct.Image)
		}
	}
	if c.kubeEnv.ProxyImage != "" {
		out = append(out, c.kubeEnv.ProxyImage)
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// exceptions returns the environment's exceptions that are about objects. Those of models
// and plans have addresses of another form.
func (c *Compiled) exceptions() ([]kube.Exception, error) {
	if c.repo.Exceptions == nil {
		return nil, nil
	}
	var out []kube.Exception
	for _, e := range c.repo.Exceptions.Spec.Exceptions {
		if len(e.Environments) > 0 && !slices.Contains(e.Environments, c.env.Metadata.Name) {
			continue
		}
		object := e.Address[strings.LastIndexByte(e.Address, ' ')+1:] // what is before it is the unit
		parts := strings.Split(object, "/")
		if object == "*" {
			parts = []string{"*", "*", "*"}
		}
		if len(parts) != 3 {
			continue
		}
		last, err := time.Parse(time.DateOnly, e.Expires)
		if err != nil {
			return nil, fmt.Errorf("exception of %s: %w", e.Rule, err)
		}
		out = append(out, kube.Exception{Rule: e.Rule, Kind: parts[0], Namespace: parts[1], Name: parts[2], Expires: last, Owner: e.Owner, Reason: e.Reason})
	}
	return out, nil
}
