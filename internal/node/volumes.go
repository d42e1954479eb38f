package node

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/informers"
	corelisters "k8s.io/client-go/listers/core/v1"
	"k8s.io/client-go/tools/cache"

	"github.com/stratahq/strata/internal/cluster"
)

// provisioner is the name by which storage classes ask for volumes of this node.
const provisioner = "strata.dev/local"

// volumes makes a folder for each claim and removes it with the claim.
type volumes struct {
	c       Config
	client  *cluster.Client
	claims  corelisters.PersistentVolumeClaimLister
	volumes corelisters.PersistentVolumeLister
	synced  []cache.InformerSynced
	changed flag
	log     *slog.Logger
}

func newVolumes(c Config, client *cluster.Client, f informers.SharedInformerFactory, log *slog.Logger) *volumes {
	v := &volumes{
		c: c, client: client, changed: newFlag(), log: log,
		claims: f.Core().V1().PersistentVolumeClaims().Lister(), volumes: f.Core().V1().PersistentVolumes().Lister(),
	}
	for _, i := range []cache.SharedIndexInformer{f.Core().V1().PersistentVolumeClaims().Informer(), f.Core().V1().PersistentVolumes().Informer()} {
		v.synced = append(v.synced, watch(i, v.changed))
	}
	return v
}

// watch sets the flag whenever something changes.
func watch(i cache.SharedIndexInformer, s flag) cache.InformerSynced {
	r, err := i.AddEventHandler(cache.ResourceEventHandlerFuncs{
		AddFunc:    func(any) { s.set() },
		UpdateFunc: func(any, any) { s.set() },
		DeleteFunc: func(any) { s.set() },
	})
	if err != nil {
		// Only an informer that was stopped refuses, and none has been started.
		return func() bool { return false }
	}
	return r.HasSynced
}

func (v *volumes) run(ctx context.Context) error {
	if !cache.WaitForCacheSync(ctx.Done(), v.synced...) {
		return ctx.Err()
	}
	for {
		if err := v.pass(ctx); err != nil && ctx.Err() == nil {
			v.log.Error("volumes", "error", err)
			time.AfterFunc(time.Second, v.changed.set)
		}
		select {
		case <-ctx.Done():
			return nil
		case <-v.changed:
		}
	}
}

// pass makes what is asked for and removes what nobody has any more.
func (v *volumes) pass(ctx context.Context) error {
	claims, err := v.claims.List(labels.Everything())
	if err != nil {
		return err
	}
	var errs []error
	for _, claim := range claims {
		// Kubernetes asks for a volume in this way as soon as one is needed: where a class
		// waits for a pod, when that has been scheduled, on this node, as there is no other.
		if claim.Annotations["volume.kubernetes.io/storage-provisioner"] != provisioner || claim.Status.Phase != corev1.ClaimPending || claim.DeletionTimestamp != nil {
			continue
		}
		errs = append(errs, v.provide(ctx, claim))
	}
	list, err := v.volumes.List(labels.Everything())
	if err != nil {
		return err
	}
	for _, pv := range list {
		errs = append(errs, v.grow(ctx, pv))
		if pv.Annotations["pv.kubernetes.io/provisioned-by"] == provisioner && pv.Status.Phase == corev1.VolumeReleased && pv.Spec.PersistentVolumeReclaimPolicy == corev1.PersistentVolumeReclaimDelete {
			errs = append(errs, v.remove(ctx, pv))
		}
	}
	return errors.Join(errs...)
}

func (v *volumes) provide(ctx context.Context, claim *corev1.PersistentVolumeClaim) error {
	name := "pvc-" + string(claim.UID)
	// A name that says whose it is, for whoever looks for lost data.
	dir := v.c.path("volumes", claim.Namespace+"_"+claim.Name+"_"+string(claim.UID))
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	// Pods of any user may use it; kubelet hands it to the pod's group where it has one.
	if err := os.Chmod(dir, 0o777); err != nil {
		return err
	}
	class := *claim.Spec.StorageClassName
	policy := corev1.PersistentVolumeReclaimDelete
	if sc, err := v.client.Typed.StorageV1().StorageClasses().Get(ctx, class, metav1.GetOptions{}); err == nil && sc.ReclaimPolicy != nil {
		policy = *sc.ReclaimPolicy
	}
	pv := &corev1.PersistentVolume{
		ObjectMeta: metav1.ObjectMeta{Name: name, Annotations: map[string]string{"pv.kubernetes.io/provisioned-by": provisioner}},
		Spec: corev1.PersistentVolumeSpec{
			Capacity:                      corev1.ResourceList{corev1.ResourceStorage: claim.Spec.Resources.Requests[corev1.ResourceStorage]},
			AccessModes:                   claim.Spec.AccessModes,
			PersistentVolumeReclaimPolicy: policy,
			StorageClassName:              class,
			ClaimRef:                      &corev1.ObjectReference{APIVersion: "v1", Kind: "PersistentVolumeClaim", Namespace: claim.Namespace, Name: claim.Name, UID: claim.UID, ResourceVersion: claim.ResourceVersion},
			PersistentVolumeSource:        corev1.PersistentVolumeSource{Local: &corev1.LocalVolumeSource{Path: dir}},
			NodeAffinity: &corev1.VolumeNodeAffinity{Required: &corev1.NodeSelector{NodeSelectorTerms: []corev1.NodeSelectorTerm{{
				MatchExpressions: []corev1.NodeSelectorRequirement{{Key: corev1.LabelHostname, Operator: corev1.NodeSelectorOpIn, Values: []string{v.c.Hostname()}}},
			}}}},
		},
	}
	_, err := v.client.Typed.CoreV1().PersistentVolumes().Create(ctx, pv, metav1.CreateOptions{})
	if err != nil && !apierrors.IsAlreadyExists(err) {
		return fmt.Errorf("volume of %s/%s: %w", claim.Namespace, claim.Name, err)
	}
	return nil
}

// grow gives a volume the size that its claim has come to ask for. A folder has no
// size of its own, so this is a matter of saying so.
func (v *volumes) grow(ctx context.Context, pv *corev1.PersistentVolume) error {
	if pv.Annotations["pv.kubernetes.io/provisioned-by"] != provisioner || pv.Status.Phase != corev1.VolumeBound || pv.Spec.ClaimRef == nil {
		return nil
	}
	claim, err := v.claims.PersistentVolumeClaims(pv.Spec.ClaimRef.Namespace).Get(pv.Spec.ClaimRef.Name)
	if apierrors.IsNotFound(err) || err == nil && claim.UID != pv.Spec.ClaimRef.UID {
		return nil
	}
	if err != nil {
		return err
	}
	want := claim.Spec.Resources.Requests[corev1.ResourceStorage]
	patch := func(at string) []byte {
		return fmt.Appendf(nil, `{%q: {"capacity": {"storage": %q}}}`, at, want.String())
	}
	if have := pv.Spec.Capacity[corev1.ResourceStorage]; want.Cmp(have) > 0 {
		if _, err := v.client.Typed.CoreV1().PersistentVolumes().Patch(ctx, pv.Name, types.MergePatchType, patch("spec"), metav1.PatchOptions{}); err != nil {
			return fmt.Errorf("size of volume %s: %w", pv.Name, err)
		}
	}
	if have := claim.Status.Capacity[corev1.ResourceStorage]; claim.Status.Phase == corev1.ClaimBound && want.Cmp(have) > 0 {
		if _, err := v.client.Typed.CoreV1().PersistentVolumeClaims(claim.Namespace).Patch(ctx, claim.Name, types.MergePatchType, patch("status"), metav1.PatchOptions{}, "status"); err != nil {
			return fmt.Errorf("size of claim %s/%s: %w", claim.Namespace, claim.Name, err)
		}
	}
	return nil
}

// remove deletes a volume and what is in it. Only folders of ours are touched.
func (v *volumes) remove(ctx context.Context, pv *corev1.PersistentVolume) error {
	if pv.Spec.Local == nil || filepath.Dir(pv.Spec.Local.Path) != v.c.path("volumes") || strings.Contains(pv.Spec.Local.Path, "..") {
		return fmt.Errorf("volume %s lies outside of the node's folder and is left alone", pv.Name)
	}
	if err := os.RemoveAll(pv.Spec.Local.Path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	err := v.client.Typed.CoreV1().PersistentVolumes().Delete(ctx, pv.Name, metav1.DeleteOptions{})
	if apierrors.IsNotFound(err) {
		return nil
	}
	return err
}
