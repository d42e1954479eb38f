// Package cluster talks to one Kubernetes cluster: it reads, applies and deletes
// objects of any kind and says how they are. What is applied and when is for
// runner/kube and node to decide; making objects is compile/kube's business.
package cluster

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/discovery"
	"k8s.io/client-go/discovery/cached/memory"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/restmapper"
	"k8s.io/client-go/tools/clientcmd"
)

// Manager is the field manager of everything that Strata applies.
const Manager = "strata"

// Client talks to one cluster. Its methods may be called concurrently.
type Client struct {
	// REST is how to connect; callers must not change it.
	REST *rest.Config
	// Typed and Dynamic are client-go's clients.
	Typed   kubernetes.Interface
	Dynamic dynamic.Interface

	mu     sync.Mutex
	mapper *restmapper.DeferredDiscoveryRESTMapper
}

// Open returns a client for the current context of a kubeconfig file. It does not
// connect yet. The error names the file.
func Open(kubeconfig string) (*Client, error) {
	rc, err := clientcmd.BuildConfigFromFlags("", kubeconfig)
	if err != nil {
		return nil, fmt.Errorf("kubeconfig %s: %w", kubeconfig, err)
	}
	return New(rc)
}

// New returns a client for a configuration.
func New(rc *rest.Config) (*Client, error) {
	rc = rest.CopyConfig(rc)
	// The API server has a fair queue of its own.
	rc.QPS = -1
	rc.UserAgent = "strata"
	rc.WarningHandler = rest.NoWarnings{}
	c := &Client{REST: rc}
	var err error
	if c.Typed, err = kubernetes.NewForConfig(rc); err != nil {
		return nil, err
	}
	if c.Dynamic, err = dynamic.NewForConfig(rc); err != nil {
		return nil, err
	}
	disco, err := discovery.NewDiscoveryClientForConfig(rc)
	if err != nil {
		return nil, err
	}
	c.mapper = restmapper.NewDeferredDiscoveryRESTMapper(memory.NewMemCacheClient(disco))
	return c, nil
}

// Resource returns the interface to the objects of obj's kind, in obj's namespace
// where the kind has namespaces. The error satisfies meta.IsNoMatchError where the
// cluster does not know the kind.
func (c *Client) Resource(obj *unstructured.Unstructured) (dynamic.ResourceInterface, error) {
	gvk := obj.GroupVersionKind()
	c.mu.Lock()
	m, err := c.mapper.RESTMapping(gvk.GroupKind(), gvk.Version)
	if meta.IsNoMatchError(err) {
		c.mapper.Reset() // a definition may have come since
		m, err = c.mapper.RESTMapping(gvk.GroupKind(), gvk.Version)
	}
	c.mu.Unlock()
	if err != nil {
		return nil, err
	}
	if m.Scope.Name() == meta.RESTScopeNameNamespace {
		ns := obj.GetNamespace()
		if ns == "" {
			ns = metav1.NamespaceDefault
		}
		return c.Dynamic.Resource(m.Resource).Namespace(ns), nil
	}
	return c.Dynamic.Resource(m.Resource), nil
}

// Get returns an object as it is in the cluster, or nil where there is none or the
// cluster does not know its kind.
func (c *Client) Get(ctx context.Context, obj *unstructured.Unstructured) (*unstructured.Unstructured, error) {
	r, err := c.Resource(obj)
	if meta.IsNoMatchError(err) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	out, err := r.Get(ctx, obj.GetName(), metav1.GetOptions{})
	if apierrors.IsNotFound(err) {
		return nil, nil
	}
	return out, err
}

// ApplyOptions say how an object is applied.
type ApplyOptions struct {
	// DryRun changes nothing and returns what the object would be.
	DryRun bool
	// Force takes over fields that somebody else manages.
	Force bool
}

// Apply makes the object what obj says by server-side apply and returns it as it is
// then. Where somebody else manages one of the fields the error satisfies
// apierrors.IsConflict, unless Force is set.
func (c *Client) Apply(ctx context.Context, obj *unstructured.Unstructured, o ApplyOptions) (*unstructured.Unstructured, error) {
	b, err := json.Marshal(obj)
	if err != nil {
		return nil, err
	}
	opt := metav1.PatchOptions{FieldManager: Manager, FieldValidation: metav1.FieldValidationStrict, Force: &o.Force}
	if o.DryRun {
		opt.DryRun = []string{metav1.DryRunAll}
	}
	for try := 0; ; try++ {
		var out *unstructured.Unstructured
		r, err := c.Resource(obj)
		if err == nil {
			out, err = r.Patch(ctx, obj.GetName(), types.ApplyPatchType, b, opt)
		}
		if try >= 20 || !retriable(err) && !c.unserved(ctx, obj, err) {
			return out, err
		}
		select {
		case <-ctx.Done():
			return nil, errors.Join(err, ctx.Err())
		case <-time.After(100 * time.Millisecond):
		}
	}
}

// unserved reports whether an error says that the API server does not know a kind of which
// there is a definition: it may take a moment until it serves what is established.
func (c *Client) unserved(ctx context.Context, obj *unstructured.Unstructured, err error) bool {
	// An object that is not there has a name in the error, or it is its namespace's.
	if !meta.IsNoMatchError(err) && (!apierrors.IsNotFound(err) || !strings.Contains(err.Error(), "could not find the requested resource")) {
		return false
	}
	list, err := c.Dynamic.Resource(schema.GroupVersionResource{Group: "apiextensions.k8s.io", Version: "v1", Resource: "customresourcedefinitions"}).List(ctx, metav1.ListOptions{})
	if err != nil {
		return false
	}
	gvk := obj.GroupVersionKind()
	return slices.ContainsFunc(list.Items, func(d unstructured.Unstructured) bool {
		group, _, _ := unstructured.NestedString(d.Object, "spec", "group")
		kind, _, _ := unstructured.NestedString(d.Object, "spec", "names", "kind")
		return group == gvk.Group && kind == gvk.Kind
	})
}

// retriable reports whether an error is one of the moments in which an API server is
// not quite there: it is busy, or a definition that was just made is not served yet.
func retriable(err error) bool {
	return apierrors.IsTooManyRequests(err) || apierrors.IsServerTimeout(err) || apierrors.IsInternalError(err)
}

// Delete deletes an object, with what it owns, and returns when it is gone. It is no
// error that it is not there.
func (c *Client) Delete(ctx context.Context, obj *unstructured.Unstructured) error {
	r, err := c.Resource(obj)
	if meta.IsNoMatchError(err) {
		return nil
	}
	if err != nil {
		return err
	}
	foreground := metav1.DeletePropagationForeground
	err = r.Delete(ctx, obj.GetName(), metav1.DeleteOptions{PropagationPolicy: &foreground})
	if err != nil && !apierrors.IsNotFound(err) {
		return err
	}
	for {
		_, err := r.Get(ctx, obj.GetName(), metav1.GetOptions{})
		if apierrors.IsNotFound(err) {
			return nil
		}
		if err != nil {
			return err
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("%s is still being deleted: %w", Name(obj), ctx.Err())
		case <-time.After(100 * time.Millisecond):
		}
	}
}

// Name is how an object is called in messages: KIND/NAMESPACE/NAME.
func Name(obj *unstructured.Unstructured) string {
	if ns := obj.GetNamespace(); ns != "" {
		return obj.GetKind() + "/" + ns + "/" + obj.GetName()
	}
	return obj.GetKind() + "/" + obj.GetName()
}

// Unreachable reports whether an error says that there is nobody to talk to, as
// opposed to an answer that one does not like.
func Unreachable(err error) bool {
	if err == nil {
		return false
	}
	var status apierrors.APIStatus
	return !errors.As(err, &status) && !meta.IsNoMatchError(err)
}
