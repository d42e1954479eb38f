package cluster

import (
	"context"
	"fmt"
	"slices"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/metadata"

	"github.com/stratahq/strata/internal/par"
)

// Found is an object that is in the cluster.
type Found struct {
	Unit            string
	GVK             schema.GroupVersionKind
	Namespace, Name string
	Created         time.Time
	Deleting        bool
	State           State
}

// data are the kinds that modules make beside those that compile/kube renders and
// that are worth listing.
var data = []schema.GroupVersionKind{
	{Version: "v1", Kind: "Namespace"}, {Version: "v1", Kind: "Service"}, {Version: "v1", Kind: "PersistentVolumeClaim"},
	{Version: "v1", Kind: "ConfigMap"}, {Version: "v1", Kind: "Secret"},
	{Group: "networking.k8s.io", Version: "v1", Kind: "NetworkPolicy"},
}

// Survey returns all objects that a selector of labels selects: those of the kinds
// given, of what modules make, and of what runs pods. Of most kinds nothing but the
// metadata is read, so that no secret comes here.
func (c *Client) Survey(ctx context.Context, selector string, kinds []schema.GroupVersionKind) ([]Found, error) {
	var all []schema.GroupVersionKind
	for _, gvk := range slices.Concat(kinds, data) {
		if !slices.Contains(all, gvk) && !slices.Contains(controllers, gvk) {
			all = append(all, gvk)
		}
	}
	md, err := metadata.NewForConfig(c.REST)
	if err != nil {
		return nil, err
	}
	parts := make([][]Found, len(all))
	err = par.Each(ctx, len(all), func(i int) (err error) {
		if statusful(all[i]) {
			parts[i], err = c.full(ctx, all[i], selector)
		} else {
			parts[i], err = c.meta(ctx, md, all[i], selector)
		}
		if err != nil {
			return fmt.Errorf("list objects of kind %s: %w", all[i].Kind, err)
		}
		return nil
	})
	return slices.Concat(parts...), err
}

// statusful reports whether the status of a kind says something about how it is.
func statusful(gvk schema.GroupVersionKind) bool {
	switch gvk.Kind {
	case "PersistentVolumeClaim", "Namespace", "CustomResourceDefinition", "APIService", "Pod", "ReplicaSet", "Gateway":
		return true
	}
	return false
}

func (c *Client) full(ctx context.Context, gvk schema.GroupVersionKind, selector string) ([]Found, error) {
	list, err := c.list(ctx, gvk, selector)
	if err != nil {
		return nil, err
	}
	out := make([]Found, len(list))
	for i, o := range list {
		out[i] = Found{
			Unit: o.GetAnnotations()[UnitAnnotation], GVK: gvk, Namespace: o.GetNamespace(), Name: o.GetName(),
			Created: o.GetCreationTimestamp().Time, Deleting: o.GetDeletionTimestamp() != nil, State: StateOf(o),
		}
	}
	return out, nil
}

func (c *Client) meta(ctx context.Context, md metadata.Interface, gvk schema.GroupVersionKind, selector string) ([]Found, error) {
	m, err := c.mapping(gvk)
	if meta.IsNoMatchError(err) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	list, err := md.Resource(m.Resource).List(ctx, metav1.ListOptions{LabelSelector: selector})
	if err != nil {
		return nil, err
	}
	out := make([]Found, len(list.Items))
	for i := range list.Items {
		o := &list.Items[i]
		out[i] = Found{
			Unit: o.Annotations[UnitAnnotation], GVK: gvk, Namespace: o.Namespace, Name: o.Name,
			Created: o.CreationTimestamp.Time, Deleting: o.DeletionTimestamp != nil, State: State{Ready: true},
		}
	}
	return out, nil
}

// Version is the version of the cluster's API server.
func (c *Client) Version() (string, error) {
	v, err := c.Typed.Discovery().ServerVersion()
	if err != nil {
		return "", err
	}
	return v.GitVersion, nil
}
