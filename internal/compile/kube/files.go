package kube

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"slices"
	"strconv"
	"strings"

	corev1 "k8s.io/api/core/v1"
)

// maxConfigMap is what Kubernetes stores in one ConfigMap, in bytes.
const maxConfigMap = 1 << 20

// Names of the pod's volumes for files.
const (
	volumeTemp    = "strata-tmp"
	volumeFiles   = "strata-files"
	volumeBound   = "strata-bound-files"
	volumeOutputs = "strata-outputs"
	volumeSecrets = "strata-secrets"
)

// BoundFile is a file that is put together from text and outputs. The engine
// writes it into the Secret that FilesName names when the outputs are known.
type BoundFile struct {
	Key   string
	Parts []Part
}

// BoundFiles lists the workload's files that the engine puts together, sorted by
// key.
func BoundFiles(w Workload) []BoundFile {
	var out []BoundFile
	for _, c := range w.Containers {
		for _, f := range c.Files {
			if f.volume() == volumeBound {
				out = append(out, BoundFile{Key: fileKey(c.Name, f.Path), Parts: f.Content})
			}
		}
	}
	slices.SortFunc(out, func(a, b BoundFile) int { return strings.Compare(a.Key, b.Key) })
	return out
}

// fileSet says where each file of a workload comes from.
type fileSet struct {
	config *corev1.ConfigMap // static content; nil when there is none
	items  map[string][]corev1.KeyToPath
}

// volume returns the pod volume that a file comes from: static content, a
// single output, or a text with outputs.
func (f File) volume() string {
	if f.Binary != nil {
		return volumeFiles
	}
	outputs := 0
	for _, p := range f.Content {
		if p.Output != nil {
			outputs++
		}
	}
	switch {
	case outputs == 0:
		return volumeFiles
	case outputs == 1 && len(f.Content) == 1 && f.Content[0].Output.Secret:
		return volumeSecrets
	case outputs == 1 && len(f.Content) == 1:
		return volumeOutputs
	}
	return volumeBound
}

// fileKey names a file in a ConfigMap or Secret, and in the volume.
func fileKey(container, path string) string {
	clean := strings.Map(func(r rune) rune {
		switch {
		case r >= 'a' && r <= 'z', r >= 'A' && r <= 'Z', r >= '0' && r <= '9', r == '-', r == '.':
			return r
		}
		return '_'
	}, container+path)
	// Different paths may clean to one name; the digest keeps them apart.
	sum := sha256.Sum256([]byte(container + "\x00" + path))
	if len(clean) > 200 {
		clean = clean[len(clean)-200:]
	}
	return clean + "-" + hex.EncodeToString(sum[:3])
}

// files collects the workload's files. Static ones go into an immutable
// ConfigMap whose name holds a digest of its content, so that a change rolls
// the pods and an old pod keeps its old files.
func (w *Workload) files() (*fileSet, error) {
	set := &fileSet{items: map[string][]corev1.KeyToPath{}}
	text, binary := map[string]string{}, map[string][]byte{}
	size := 0
	for _, c := range w.Containers {
		for _, f := range c.Files {
			key := fileKey(c.Name, f.Path)
			item := corev1.KeyToPath{Key: key, Path: key}
			mode, err := fileMode(f)
			if err != nil {
				return nil, fmt.Errorf("container %q: %w", c.Name, err)
			}
			item.Mode = mode
			switch volume := f.volume(); {
			case volume == volumeOutputs || volume == volumeSecrets:
				item.Key = f.Content[0].Output.Key()
			case volume == volumeFiles && f.Binary != nil:
				binary[key] = f.Binary
				size += len(f.Binary)
			case volume == volumeFiles:
				for _, p := range f.Content {
					text[key] += p.Text
				}
				if len(f.Content) == 0 {
					text[key] = ""
				}
				size += len(text[key])
			}
			if size > maxConfigMap {
				return nil, fmt.Errorf("container %q: with %s the files have more than the %d bytes that a ConfigMap holds; put large files into the image", c.Name, f.Path, maxConfigMap)
			}
			set.items[f.volume()] = append(set.items[f.volume()], item)
		}
	}
	for _, items := range set.items {
		slices.SortFunc(items, func(a, b corev1.KeyToPath) int {
			return cmp.Or(strings.Compare(a.Key, b.Key), strings.Compare(a.Path, b.Path))
		})
	}
	if len(text)+len(binary) > 0 {
		set.config = &corev1.ConfigMap{TypeMeta: typeMeta("v1", "ConfigMap"), Immutable: ptr(true), Data: text, BinaryData: binary}
		set.config.Name = w.Name + "-files-" + contentDigest(text, binary)
	}
	return set, nil
}

func contentDigest(text map[string]string, binary map[string][]byte) string {
	h := sha256.New()
	var keys []string
	for k, v := range text {
		keys = append(keys, "t"+k+"\x00"+v)
	}
	for k, v := range binary {
		keys = append(keys, "b"+k+"\x00"+string(v))
	}
	slices.Sort(keys)
	for _, k := range keys {
		fmt.Fprintf(h, "%d:%s", len(k), k)
	}
	return hex.EncodeToString(h.Sum(nil)[:5])
}

// fileMode returns a file's permissions. Without any, everybody in the
// container may read it; a secret only the container's user and group.
func fileMode(f File) (*int32, error) {
	if f.Mode == "" {
		if v := f.volume(); v == volumeSecrets || v == volumeBound {
			return ptr(int32(0o440)), nil
		}
		return ptr(int32(0o444)), nil
	}
	n, err := strconv.ParseInt(f.Mode, 8, 32)
	if err != nil {
		return nil, fmt.Errorf("file %s: mode %q is not octal", f.Path, f.Mode)
	}
	return ptr(int32(n)), nil
}

// volumes lists the pod's volumes, in a fixed order.
func (w *Workload) volumes(files *fileSet) []corev1.Volume {
	tmp := resourceMebibytes(64)
	out := []corev1.Volume{{Name: volumeTemp, VolumeSource: corev1.VolumeSource{EmptyDir: &corev1.EmptyDirVolumeSource{SizeLimit: &tmp}}}}
	if items := files.items[volumeFiles]; len(items) > 0 {
		out = append(out, corev1.Volume{Name: volumeFiles, VolumeSource: corev1.VolumeSource{ConfigMap: &corev1.ConfigMapVolumeSource{
			LocalObjectReference: corev1.LocalObjectReference{Name: files.config.Name}, Items: items,
		}}})
	}
	if items := files.items[volumeOutputs]; len(items) > 0 {
		out = append(out, corev1.Volume{Name: volumeOutputs, VolumeSource: corev1.VolumeSource{ConfigMap: &corev1.ConfigMapVolumeSource{
			LocalObjectReference: corev1.LocalObjectReference{Name: OutputsName(w.Name)}, Items: items,
		}}})
	}
	for _, s := range []struct{ volume, secret string }{{volumeSecrets, SecretsName(w.Name)}, {volumeBound, FilesName(w.Name)}} {
		if items := files.items[s.volume]; len(items) > 0 {
			out = append(out, corev1.Volume{Name: s.volume, VolumeSource: corev1.VolumeSource{Secret: &corev1.SecretVolumeSource{
				SecretName: s.secret, Items: items,
			}}})
		}
	}
	for _, v := range w.Volumes {
		vol := corev1.Volume{Name: "data-" + v.Resource}
		if v.Ephemeral {
			vol.EmptyDir = &corev1.EmptyDirVolumeSource{}
			if size, err := parseQuantity(v.Size); err == nil {
				vol.EmptyDir.SizeLimit = &size
			}
		} else {
			vol.PersistentVolumeClaim = &corev1.PersistentVolumeClaimVolumeSource{ClaimName: w.claimName(v)}
		}
		out = append(out, vol)
	}
	return out
}

// mounts lists a container's mounts. Files are mounted one by one, so that they
// hide nothing else in their folder.
func (w *Workload) mounts(c Container, files *fileSet) []corev1.VolumeMount {
	var out []corev1.VolumeMount
	tmp := true
	for _, m := range c.Mounts {
		out = append(out, corev1.VolumeMount{Name: "data-" + m.Volume, MountPath: m.Path, SubPath: m.SubPath, ReadOnly: m.ReadOnly})
		tmp = tmp && m.Path != "/tmp"
	}
	for _, f := range c.Files {
		out = append(out, corev1.VolumeMount{Name: f.volume(), MountPath: f.Path, SubPath: fileKey(c.Name, f.Path), ReadOnly: true})
	}
	if tmp {
		out = append(out, corev1.VolumeMount{Name: volumeTemp, MountPath: "/tmp"})
	}
	slices.SortStableFunc(out, func(a, b corev1.VolumeMount) int { return strings.Compare(a.MountPath, b.MountPath) })
	return out
}
