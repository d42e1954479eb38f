package kube

import (
	"path"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	"k8s.io/apimachinery/pkg/util/validation"
)

// exclusive returns the name of a persistent volume that only one pod can
// mount; empty if there is none.
func (r *renderer) exclusive() string {
	for _, v := range r.w.Volumes {
		if !v.Ephemeral && v.AccessMode != string(corev1.ReadWriteMany) {
			return v.Resource
		}
	}
	return ""
}

// volumeName names a volume resource within the pod.
func volumeName(res string) string { return fit("volume-"+res, validation.DNS1123LabelMaxLength) }

// claimName names a volume resource's PersistentVolumeClaim.
func (r *renderer) claimName(res string) string { return r.w.Name + "-" + res }

// size returns a volume's size.
func (r *renderer) size(v Volume) resource.Quantity {
	q, err := resource.ParseQuantity(v.Size)
	if err != nil || q.Sign() <= 0 {
		r.errorf("volume %q: size %q is not a quantity of at least one byte", v.Resource, v.Size)
	}
	return q
}

// claims returns the claims of the persistent volumes.
func (r *renderer) claims() []Object {
	var objs []Object
	for _, v := range r.w.Volumes {
		if v.Ephemeral {
			continue
		}
		mode := corev1.ReadWriteOnce
		switch v.AccessMode {
		case "", string(corev1.ReadWriteOnce):
		case string(corev1.ReadWriteMany):
			mode = corev1.ReadWriteMany
		default:
			r.errorf("volume %q: access mode %q: want ReadWriteOnce or ReadWriteMany", v.Resource, v.AccessMode)
		}
		claim := &corev1.PersistentVolumeClaim{
			TypeMeta: gvk("v1", "PersistentVolumeClaim"), ObjectMeta: r.meta(r.claimName(v.Resource)),
			Spec: corev1.PersistentVolumeClaimSpec{
				AccessModes: []corev1.PersistentVolumeAccessMode{mode},
				Resources:   corev1.VolumeResourceRequirements{Requests: corev1.ResourceList{corev1.ResourceStorage: r.size(v)}},
			},
		}
		if v.Class != "" {
			claim.Spec.StorageClassName = ptr(v.Class)
		}
		objs = append(objs, claim)
	}
	return objs
}

// mounts returns a container's mounts of volume resources and notes which
// volumes these are.
func (r *renderer) mounts(c Container, mounted map[string]bool) []corev1.VolumeMount {
	var out []corev1.VolumeMount
	for _, m := range c.Mounts {
		if !slices.ContainsFunc(r.w.Volumes, func(v Volume) bool { return v.Resource == m.Volume }) {
			r.errorf("container %q mounts %q, which is no volume of the workload", c.Name, m.Volume)
			continue
		}
		mounted[m.Volume] = true
		sub := strings.Trim(m.SubPath, "/")
		if sub != "" && !local(sub) {
			r.errorf("container %q: path %q leads out of volume %q", c.Name, m.SubPath, m.Volume)
		}
		out = append(out, corev1.VolumeMount{Name: volumeName(m.Volume), MountPath: r.mountPath(c, m.Path), SubPath: sub, ReadOnly: m.ReadOnly})
	}
	return out
}

// local reports whether a path within a volume stays there.
func local(sub string) bool {
	return sub == path.Clean(sub) && sub != ".." && !strings.HasPrefix(sub, "../")
}

// mountPath returns a path of a container as Kubernetes accepts it.
func (r *renderer) mountPath(c Container, p string) string {
	clean := path.Clean(p)
	if !path.IsAbs(p) || clean == "/" || strings.Contains(p, ":") {
		r.errorf("container %q: cannot mount anything at %q: want an absolute path without ':' that is not the root", c.Name, p)
	}
	return clean
}

// volumes returns the pod's volumes for those volume resources that a
// container mounts.
func (r *renderer) volumes(mounted map[string]bool) []corev1.Volume {
	var out []corev1.Volume
	for _, v := range r.w.Volumes {
		if !mounted[v.Resource] {
			continue
		}
		vol := corev1.Volume{Name: volumeName(v.Resource)}
		if v.Ephemeral {
			vol.EmptyDir = &corev1.EmptyDirVolumeSource{SizeLimit: ptr(r.size(v))}
		} else {
			vol.PersistentVolumeClaim = &corev1.PersistentVolumeClaimVolumeSource{ClaimName: r.claimName(v.Resource)}
		}
		out = append(out, vol)
	}
	return out
}
