package kube

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/stratahq/strata/internal/addr"
	"github.com/stratahq/strata/internal/cluster"
	"github.com/stratahq/strata/internal/compile/kube"
)

// InventoryNamespace holds a ConfigMap for each unit, which lists its objects.
const InventoryNamespace = "strata-system"

// object names an object of a unit.
type object struct {
	APIVersion string `json:"apiVersion"`
	Kind       string `json:"kind"`
	Namespace  string `json:"namespace,omitempty"`
	Name       string `json:"name"`
}

func objectOf(u *unstructured.Unstructured) object {
	return object{u.GetAPIVersion(), u.GetKind(), u.GetNamespace(), u.GetName()}
}

func (o object) empty() *unstructured.Unstructured {
	u := &unstructured.Unstructured{Object: map[string]any{}}
	u.SetAPIVersion(o.APIVersion)
	u.SetKind(o.Kind)
	u.SetNamespace(o.Namespace)
	u.SetName(o.Name)
	return u
}

// same reports whether both name one object: a kind may be served in several versions.
func (o object) same(p object) bool {
	group := func(apiVersion string) string {
		g, _, ok := strings.Cut(apiVersion, "/")
		if !ok {
			return ""
		}
		return g
	}
	return o.Kind == p.Kind && o.Namespace == p.Namespace && o.Name == p.Name && group(o.APIVersion) == group(p.APIVersion)
}

// inventoryName names a unit's inventory.
func inventoryName(platform string, a addr.Unit) string {
	sum := sha256.Sum256([]byte(platform + "\n" + a.String()))
	name := strings.NewReplacer("/", ".", "_", "-").Replace(strings.ToLower(a.Name))
	if len(name) > 180 {
		name = name[:180]
	}
	return strings.Trim(name, ".-") + "-" + hex.EncodeToString(sum[:4])
}

func inventoryObject(platform string, a addr.Unit, list []object) (*unstructured.Unstructured, error) {
	b, err := json.Marshal(list)
	if err != nil {
		return nil, err
	}
	u := object{"v1", "ConfigMap", InventoryNamespace, inventoryName(platform, a)}.empty()
	u.SetLabels(map[string]string{"app.kubernetes.io/managed-by": "strata", kube.LabelEnvironment: a.Env, kube.LabelPlatform: platform})
	u.SetAnnotations(map[string]string{kube.AnnotationUnit: a.String()})
	u.Object["data"] = map[string]any{"objects": string(b)}
	return u, nil
}

// inventory returns the objects that a unit has in the cluster, in the order in which
// they were applied.
func (r *Runner) inventory(ctx context.Context, c *cluster.Client, a addr.Unit) ([]object, error) {
	cm, err := c.Typed.CoreV1().ConfigMaps(InventoryNamespace).Get(ctx, inventoryName(r.cfg.Platform, a), metav1.GetOptions{})
	if apierrors.IsNotFound(err) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read the inventory of %s: %w", a.Name, err)
	}
	var out []object
	if err := json.Unmarshal([]byte(cm.Data["objects"]), &out); err != nil {
		return nil, fmt.Errorf("the inventory of %s (ConfigMap %s/%s): %w", a.Name, InventoryNamespace, cm.Name, err)
	}
	return out, nil
}

// putInventory records what a unit has.
func (r *Runner) putInventory(ctx context.Context, c *cluster.Client, a addr.Unit, list []object) error {
	u, err := inventoryObject(r.cfg.Platform, a, list)
	if err != nil {
		return err
	}
	_, err = c.Apply(ctx, u, cluster.ApplyOptions{Force: true})
	if apierrors.IsNotFound(err) {
		ns := object{"v1", "Namespace", "", InventoryNamespace}.empty()
		ns.SetLabels(map[string]string{"app.kubernetes.io/managed-by": "strata", "pod-security.kubernetes.io/enforce": "restricted"})
		if _, err := c.Apply(ctx, ns, cluster.ApplyOptions{Force: true}); err != nil {
			return fmt.Errorf("make the namespace %s: %w", InventoryNamespace, err)
		}
		_, err = c.Apply(ctx, u, cluster.ApplyOptions{Force: true})
		if err != nil {
			return fmt.Errorf("write the inventory of %s: %w", a.Name, err)
		}
		return nil
	}
	if err != nil {
		return fmt.Errorf("write the inventory of %s: %w", a.Name, err)
	}
	return nil
}

// without returns the objects of a list that are not among the items.
func without(list []object, items []*item) []object {
	var out []object
	for _, o := range list {
		if !slices.ContainsFunc(items, func(i *item) bool { return o.same(objectOf(i.Object)) }) {
			out = append(out, o)
		}
	}
	return out
}
