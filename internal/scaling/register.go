package scaling

import (
	"context"
	"encoding/base64"
	"fmt"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/stratahq/strata/internal/proxy/config"
)

const (
	apiGroup, apiVersion = "external.metrics.k8s.io", "v1beta1"
	managedBy            = "app.kubernetes.io/managed-by"
)

var apiServices = schema.GroupVersionResource{Group: "apiregistration.k8s.io", Version: "v1", Resource: "apiservices"}

// register tells the API server where the API is and what certificate it shows. It reports
// false when another program serves this API, of which there can be one in a cluster.
func (a *API) register(ctx context.Context, c *certificate) (bool, error) {
	have, err := a.dynamic.Resource(apiServices).Get(ctx, config.ScalingAPI, metav1.GetOptions{})
	if err == nil && have.GetLabels()[managedBy] != config.ControlAccount {
		a.log.Warn("another program serves metrics to autoscalers in this cluster, so requests per second and queue depths are not served", "APIService", config.ScalingAPI)
		return false, nil
	}
	if err != nil && !apierrors.IsNotFound(err) {
		return false, err
	}
	metadata := map[string]any{"name": config.ScalingAPI, "labels": map[string]any{managedBy: config.ControlAccount}}
	if owner, err := a.owner(ctx); err != nil {
		return false, err
	} else if owner != nil {
		metadata["ownerReferences"] = []any{owner}
	}
	cert, _ := c.CurrentCertKeyContent()
	want := &unstructured.Unstructured{Object: map[string]any{
		"apiVersion": "apiregistration.k8s.io/v1", "kind": "APIService",
		"metadata": metadata,
		"spec": map[string]any{
			"group": apiGroup, "version": apiVersion, "groupPriorityMinimum": int64(100), "versionPriority": int64(100),
			"service":  map[string]any{"namespace": config.ControlNamespace, "name": config.ControlAccount, "port": int64(a.port)},
			"caBundle": base64.StdEncoding.EncodeToString(cert),
		},
	}}
	if _, err := a.dynamic.Resource(apiServices).Apply(ctx, config.ScalingAPI, want, metav1.ApplyOptions{FieldManager: config.ControlAccount, Force: true}); err != nil {
		return false, fmt.Errorf("register the metrics API: %w", err)
	}
	return true, nil
}

// owner returns what the registration belongs to: the control plane's ClusterRole, with which
// it is removed. One that is left, and leads to nobody, keeps every namespace of the cluster
// from being deleted.
func (a *API) owner(ctx context.Context) (map[string]any, error) {
	r, err := a.client.RbacV1().ClusterRoles().Get(ctx, config.ControlAccount, metav1.GetOptions{})
	if apierrors.IsNotFound(err) {
		return nil, nil // it runs outside of the cluster
	}
	if err != nil {
		return nil, fmt.Errorf("find what the metrics API's registration belongs to: %w", err)
	}
	return map[string]any{"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRole", "name": r.Name, "uid": string(r.UID)}, nil
}
