package kube

import (
	"context"
	"encoding/json"
	"fmt"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/labels"

	"github.com/stratahq/strata/internal/addr"
	"github.com/stratahq/strata/internal/cluster"
	"github.com/stratahq/strata/internal/compile/kube"
)

// Inventories returns what is on record in the cluster of every unit of a platform's
// environment: its objects, by name alone, in the order in which they were applied.
func Inventories(ctx context.Context, c *cluster.Client, platform, env string) (map[addr.Unit][]*unstructured.Unstructured, error) {
	list, err := c.Typed.CoreV1().ConfigMaps(InventoryNamespace).List(ctx, metav1.ListOptions{LabelSelector: labels.Set{kube.LabelPlatform: platform, kube.LabelEnvironment: env}.String()})
	if err != nil {
		return nil, fmt.Errorf("read the inventories of %s: %w", env, err)
	}
	out := map[addr.Unit][]*unstructured.Unstructured{}
	for _, cm := range list.Items {
		u, err := addr.ParseUnit(cm.Annotations[kube.AnnotationUnit])
		if err != nil {
			continue // somebody else's
		}
		var objs []object
		if err := json.Unmarshal([]byte(cm.Data["objects"]), &objs); err != nil {
			return nil, fmt.Errorf("the inventory of %s (ConfigMap %s/%s): %w", u.Name, cm.Namespace, cm.Name, err)
		}
		for _, o := range objs {
			out[u] = append(out[u], o.empty())
		}
	}
	return out, nil
}
