package node

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
)

// testVolumes: data is there as long as its claim, whatever becomes of pods.
func testVolumes(t *testing.T, n *running) {
	n.namespace(t, "data", nil)
	labels, one := map[string]string{"app": "db"}, int32(1)
	template := pod("data", "", labels, "tcp:80").Spec
	template.Containers[0].VolumeMounts = []corev1.VolumeMount{{Name: "data", MountPath: "/data"}}
	set := &appsv1.StatefulSet{ObjectMeta: metav1.ObjectMeta{Name: "db"}, Spec: appsv1.StatefulSetSpec{
		Replicas: &one, ServiceName: "db", Selector: &metav1.LabelSelector{MatchLabels: labels},
		Template: corev1.PodTemplateSpec{ObjectMeta: metav1.ObjectMeta{Labels: labels}, Spec: template},
		VolumeClaimTemplates: []corev1.PersistentVolumeClaim{{ObjectMeta: metav1.ObjectMeta{Name: "data"}, Spec: corev1.PersistentVolumeClaimSpec{
			AccessModes: []corev1.PersistentVolumeAccessMode{corev1.ReadWriteOnce},
			Resources:   corev1.VolumeResourceRequirements{Requests: corev1.ResourceList{corev1.ResourceStorage: resource.MustParse("1Gi")}},
		}}},
	}}
	if _, err := n.Typed.AppsV1().StatefulSets("data").Create(t.Context(), set, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	n.answers(t, "data", "db-0")
	put := func(pod, file, text string) {
		t.Helper()
		r := n.Typed.CoreV1().RESTClient().Put().Namespace("data").Resource("pods").Name(pod+":7777").SubResource("proxy").Suffix("file").Param("name", file)
		if b, err := r.Body([]byte(text)).DoRaw(t.Context()); err != nil || string(b) != "ok" {
			t.Fatalf("write %s: %s %v", file, b, err)
		}
	}
	put("db-0", "/data/kept", "kept")
	pvc, err := n.Typed.CoreV1().PersistentVolumeClaims("data").Get(t.Context(), "data-db-0", metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	folder := n.path("volumes", "data_data-db-0_"+string(pvc.UID))
	if b, err := os.ReadFile(filepath.Join(folder, "kept")); err != nil || string(b) != "kept" {
		t.Errorf("the volume's folder: %q %v", b, err)
	}
	n.remove(t, "data", "db-0")
	n.answers(t, "data", "db-0")
	if b, err := n.ask(t, "data", "db-0", "file", "name", "/data/kept"); err != nil || b != "kept" {
		t.Errorf("the volume after the pod: %q %v", b, err)
	}

	more := []byte(`{"spec": {"resources": {"requests": {"storage": "2Gi"}}}}`)
	if _, err := n.Typed.CoreV1().PersistentVolumeClaims("data").Patch(t.Context(), pvc.Name, types.MergePatchType, more, metav1.PatchOptions{}); err != nil {
		t.Fatal(err)
	}
	eventually(t, func() error {
		now, err := n.Typed.CoreV1().PersistentVolumeClaims("data").Get(t.Context(), pvc.Name, metav1.GetOptions{})
		if size := now.Status.Capacity[corev1.ResourceStorage]; err == nil && size.String() != "2Gi" {
			err = fmt.Errorf("the claim has %s", size.String())
		}
		return err
	})

	// A claim by itself goes with all that was in it, and no other does.
	claim := &corev1.PersistentVolumeClaim{ObjectMeta: metav1.ObjectMeta{Name: "scratch"}, Spec: set.Spec.VolumeClaimTemplates[0].Spec}
	if _, err := n.Typed.CoreV1().PersistentVolumeClaims("data").Create(t.Context(), claim, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	p := pod("data", "uses", nil, "tcp:80")
	p.Spec.Containers[0].VolumeMounts = []corev1.VolumeMount{{Name: "data", MountPath: "/data"}}
	p.Spec.Volumes = []corev1.Volume{{Name: "data", VolumeSource: corev1.VolumeSource{PersistentVolumeClaim: &corev1.PersistentVolumeClaimVolumeSource{ClaimName: "scratch"}}}}
	n.create(t, p)
	put("uses", "/data/lost", "lost")
	n.remove(t, "data", "uses")
	if err := n.Typed.CoreV1().PersistentVolumeClaims("data").Delete(t.Context(), "scratch", metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	eventually(t, func() error {
		left, err := filepath.Glob(n.path("volumes", "data_scratch_*"))
		if err == nil && len(left) > 0 {
			err = fmt.Errorf("%v is there still", left)
		}
		return err
	})
	eventually(t, func() error {
		list, err := n.Typed.CoreV1().PersistentVolumes().List(t.Context(), metav1.ListOptions{})
		if err == nil && len(list.Items) != 1 {
			err = fmt.Errorf("%d volumes", len(list.Items))
		}
		return err
	})
	if _, err := os.Stat(filepath.Join(folder, "kept")); err != nil {
		t.Error(err)
	}
}

// remove deletes a pod and waits until it, or the one before one of the same name, is gone.
func (n *running) remove(t *testing.T, ns, name string) {
	t.Helper()
	p, err := n.Typed.CoreV1().Pods(ns).Get(t.Context(), name, metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if err := n.Typed.CoreV1().Pods(ns).Delete(t.Context(), name, metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	eventually(t, func() error {
		now, err := n.Typed.CoreV1().Pods(ns).Get(t.Context(), name, metav1.GetOptions{})
		if apierrors.IsNotFound(err) || err == nil && now.UID != p.UID {
			return nil
		}
		return fmt.Errorf("pod %s/%s is there still: %w", ns, name, err)
	})
}
