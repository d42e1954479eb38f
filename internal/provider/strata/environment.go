package strata

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"path/filepath"
	"sync"

	"github.com/hashicorp/terraform-plugin-framework/diag"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/stratahq/strata/internal/cluster"
	"github.com/stratahq/strata/internal/node"
)

// environment is what every resource is given: where things are, and for which unit
// of which environment they are made.
type environment struct {
	Options
	platform, name string
	labels         map[string]string

	mu      sync.Mutex
	clients map[string]*cluster.Client
}

// unit is the address of the unit whose root this is, as objects are annotated with.
func (e *environment) unit() string { return e.name + "/" + e.labels["unit"] }

// at returns a path as the program's own folder has it; relative ones are of the
// repository.
func (e *environment) at(file string) string {
	if filepath.IsAbs(file) {
		return filepath.Clean(file)
	}
	return filepath.Join(e.Repository, file)
}

// client returns a client for the cluster of a kubeconfig file.
func (e *environment) client(kubeconfig string) (*cluster.Client, error) {
	file := e.at(kubeconfig)
	e.mu.Lock()
	defer e.mu.Unlock()
	if c, ok := e.clients[file]; ok {
		return c, nil
	}
	c, err := cluster.Open(file)
	if err != nil {
		return nil, err
	}
	if e.clients == nil {
		e.clients = map[string]*cluster.Client{}
	}
	e.clients[file] = c
	return c, nil
}

// node returns the folder of the node of this machine whose kubeconfig it is; "" for
// any other cluster.
func (e *environment) node(kubeconfig string) string {
	dir := filepath.Dir(e.at(kubeconfig))
	if filepath.Dir(dir) != filepath.Clean(node.Root()) || filepath.Base(kubeconfig) != "kubeconfig" {
		return ""
	}
	return dir
}

// vanished reports whether a cluster is a node of this machine that is no more, with
// everything that was in it.
func (e *environment) vanished(kubeconfig string) bool {
	dir := e.node(kubeconfig)
	if dir == "" {
		return false
	}
	_, err := node.Load(dir)
	return errors.Is(err, fs.ErrNotExist)
}

// Annotations and labels of what the provider makes.
const (
	unitAnnotation   = "strata.dev/unit"
	managedByLabel   = "app.kubernetes.io/managed-by"
	partOfLabel      = "app.kubernetes.io/part-of"
	environmentLabel = "strata.dev/environment"
)

// marks returns the labels and annotations that say whose an object is, laid over its
// own.
func (e *environment) marks(labels, annotations map[string]string) (map[string]string, map[string]string) {
	l, a := map[string]string{}, map[string]string{}
	maps.Copy(l, labels)
	maps.Copy(a, annotations)
	l[managedByLabel], l[partOfLabel], l[environmentLabel] = cluster.Manager, e.platform, e.name
	a[unitAnnotation] = e.unit()
	return l, a
}

// mark writes the marks into an object.
func (e *environment) mark(obj *unstructured.Unstructured) {
	l, a := e.marks(obj.GetLabels(), obj.GetAnnotations())
	obj.SetLabels(l)
	obj.SetAnnotations(a)
}

// owned returns nil if an object with these marks and managers was made by this unit, by an apply that was cut off before OpenTofu heard of it. Else the error names
// who has it.
func (e *environment) owned(what string, labels, annotations map[string]string, managers []string) error {
	switch unit, platform := annotations[unitAnnotation], labels[partOfLabel]; {
	case unit == e.unit() && platform == e.platform:
		return nil
	case unit != "":
		return fmt.Errorf("%s exists and belongs to the unit %s of the platform %s: one of the two has to use another name, or another cluster", what, unit, platform)
	case len(managers) > 0:
		return fmt.Errorf("%s exists and was not made by Strata but by %s: delete it, or import it to take it over", what, list(managers))
	}
	return fmt.Errorf("%s exists and was not made by Strata: delete it, or import it to take it over", what)
}

// configure takes what Configure of the provider left for resources; nil during
// validation.
func configure(data any, diags *diag.Diagnostics) *environment {
	if data == nil {
		return nil
	}
	e, ok := data.(*environment)
	if !ok {
		diags.AddError("Unexpected provider data", fmt.Sprintf("This is a mistake in Strata: %T.", data))
	}
	return e
}
