package cluster

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
)

// WaitReady waits until every Deployment and StatefulSet that a label selector matches
// is ready, and returns how many there are. note takes the name of one that is not,
// while it waits. When ctx ends the error says why those that are left are not ready.
//
// Pods of a node that was started anew count as ready until it has looked at them.
// since, unless it is zero, is when that was: their containers have to be younger.
func (c *Client) WaitReady(ctx context.Context, selector string, since time.Time, note func(string)) (int, error) {
	for {
		list, err := c.workloads(ctx, selector)
		if err != nil && ctx.Err() == nil && !Unreachable(err) {
			return 0, err
		}
		var waiting []*unstructured.Unstructured
		for _, u := range list {
			if !StateOf(u).Ready {
				waiting = append(waiting, u)
			}
		}
		stale := ""
		if err == nil && len(waiting) == 0 {
			if stale, err = c.stale(ctx, since); err == nil && stale == "" {
				return len(list), nil
			}
		}
		if stale != "" {
			note(stale)
		}
		if len(waiting) > 0 {
			note(fmt.Sprintf("%d of %d: %s", len(list)-len(waiting), len(list), Name(waiting[0])))
		}
		select {
		case <-ctx.Done():
			return len(list), c.unready(waiting, ctx.Err())
		case <-time.After(200 * time.Millisecond):
		}
	}
}

// stale returns a pod of the cluster that has not been started since then; "" where all
// have been.
func (c *Client) stale(ctx context.Context, since time.Time) (string, error) {
	if since.IsZero() {
		return "", nil
	}
	pods, err := c.Typed.CoreV1().Pods("").List(ctx, metav1.ListOptions{})
	if err != nil {
		return "", err
	}
	// The API server keeps whole seconds.
	since = since.Truncate(time.Second)
	for _, p := range pods.Items {
		if p.DeletionTimestamp != nil || p.Status.Phase != corev1.PodRunning {
			continue
		}
		for _, s := range p.Status.ContainerStatuses {
			if s.State.Running == nil || s.State.Running.StartedAt.Time.Before(since) {
				return "pod " + p.Namespace + "/" + p.Name, nil
			}
		}
	}
	return "", nil
}

// unready says why workloads are not ready.
func (c *Client) unready(list []*unstructured.Unstructured, cause error) error {
	if errors.Is(cause, context.Canceled) {
		return cause
	}
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	var b strings.Builder
	for _, u := range list {
		fmt.Fprintf(&b, "\n%s: %s", Name(u), StateOf(u).Reason)
		why, _ := c.Explain(ctx, u)
		for _, line := range why {
			b.WriteString("\n  " + line)
		}
	}
	return fmt.Errorf("not everything is ready:%s", b.String())
}

// workloads lists Deployments and StatefulSets.
func (c *Client) workloads(ctx context.Context, selector string) ([]*unstructured.Unstructured, error) {
	o := metav1.ListOptions{LabelSelector: selector}
	deployments, err := c.Typed.AppsV1().Deployments("").List(ctx, o)
	if err != nil {
		return nil, err
	}
	sets, err := c.Typed.AppsV1().StatefulSets("").List(ctx, o)
	if err != nil {
		return nil, err
	}
	var out []*unstructured.Unstructured
	add := func(obj any, kind string) error {
		m, err := runtime.DefaultUnstructuredConverter.ToUnstructured(obj)
		if err != nil {
			return err
		}
		u := &unstructured.Unstructured{Object: m}
		u.SetGroupVersionKind(appsv1.SchemeGroupVersion.WithKind(kind))
		out = append(out, u)
		return nil
	}
	for i := range sets.Items {
		if err := add(&sets.Items[i], "StatefulSet"); err != nil {
			return nil, err
		}
	}
	for i := range deployments.Items {
		if err := add(&deployments.Items[i], "Deployment"); err != nil {
			return nil, err
		}
	}
	return out, nil
}
