package kube

import (
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	corev1 "k8s.io/api/core/v1"
)

const (
	// maxConfigMap is how many bytes of data Kubernetes accepts in one ConfigMap.
	maxConfigMap = 1 << 20
	// fileMode is a file's mode unless it says otherwise.
	fileMode = 0o444
	// maxFileKey leaves room in a key's 253 characters for a hash.
	maxFileKey = 200
)

// fileSet is what the files of a workload's containers become.
type fileSet struct {
	configMaps []Object
	volumes    []corev1.Volume
	mounts     map[string][]corev1.VolumeMount // by container
	templates  []Template
	// secret are the files that an ExternalSecret makes.
	secret []secretFile
}

// secretFile is a file that embeds secrets, outside local environments.
type secretFile struct {
	key     string
	parts   []Part
	content string // the whole template; empty if the engine must complete it
}

// source is the ConfigMap or Secret that files come from.
type source struct {
	secret bool
	name   string
}

// item is a file within a source: its key there, and its name in the pod's
// volume.
type item struct {
	key, name string
	mode      int32
}

// static is a file whose content is known.
type static struct {
	container, path string
	key             string
	content         []byte
	mode            int32
}

// files decides where each file comes from. Known content lies in immutable
// ConfigMaps named after a hash of it, so that a change makes new pods. A file
// that is exactly one output is taken from where outputs are kept. One that
// mixes text and outputs is completed when the outputs are known; see Template.
func (r *renderer) files() fileSet {
	set := fileSet{mounts: map[string][]corev1.VolumeMount{}}
	var (
		statics []static
		sources []source // in order of first use
		items   = map[source][]item{}
		keys    = map[string]bool{}
	)
	place := func(src source, c Container, f File, it item) {
		if _, ok := items[src]; !ok {
			sources = append(sources, src)
		}
		items[src] = append(items[src], it)
		set.mounts[c.Name] = append(set.mounts[c.Name], corev1.VolumeMount{Name: r.fileVolume(src), MountPath: r.mountPath(c, f.Path), SubPath: it.name, ReadOnly: true})
	}
	for _, c := range r.w.Containers {
		for _, f := range c.Files {
			key, mode := fileKey(keys, c.Name, f.Path), r.mode(c, f)
			parts := join(f.Content)
			for _, p := range parts {
				if p.Output != nil {
					r.checkOutput(*p.Output)
				}
			}
			switch {
			case f.Binary != nil || len(parts) == 0 || len(parts) == 1 && parts[0].Output == nil:
				content := f.Binary
				if content == nil && len(parts) > 0 {
					content = []byte(parts[0].Text)
				}
				statics = append(statics, static{c.Name, r.mountPath(c, f.Path), key, content, mode})
			case len(parts) == 1:
				src := source{false, OutputsName(r.w.Name)}
				if parts[0].Output.Secret {
					src = source{true, SecretsName(r.w.Name)}
				}
				place(src, c, f, item{parts[0].Output.Key(), key, mode})
			default:
				src := source{slices.ContainsFunc(parts, func(p Part) bool { return p.Output != nil && p.Output.Secret }), FilesName(r.w.Name)}
				r.composite(&set, src, key, parts)
				place(src, c, f, item{key, key, mode})
			}
		}
	}
	r.pack(&set, statics)
	for _, src := range sources {
		set.volumes = append(set.volumes, src.volume(r.fileVolume(src), items[src]))
	}
	return set
}

// composite notes what completes a file that mixes text with outputs.
func (r *renderer) composite(set *fileSet, src source, key string, parts []Part) {
	t := Template{Kind: "ConfigMap", Namespace: r.w.Team, Name: src.name, Key: key, Parts: parts}
	switch {
	case !src.secret:
		set.templates = append(set.templates, t)
	case r.local():
		t.Kind = "Secret"
		set.templates = append(set.templates, t)
	default:
		t.GoTemplate = true
		f := secretFile{key: key, parts: parts}
		if content, err := t.Expand(nil); err == nil {
			f.content = content
		} else {
			// It embeds other outputs too: the engine writes them into
			// the template, which is no secret, and the external secrets
			// operator puts the secrets in.
			t.Name = TemplatesName(r.w.Name)
			set.templates = append(set.templates, t)
		}
		set.secret = append(set.secret, f)
	}
}

// fileVolume names the pod's volume for a source.
func (r *renderer) fileVolume(src source) string {
	name := strings.TrimPrefix(src.name, r.w.Name+"-")
	if src.secret && src.name == FilesName(r.w.Name) {
		return "secret-files"
	}
	return name
}

// volume returns the pod's volume with these files of the source.
func (s source) volume(name string, items []item) corev1.Volume {
	var paths []corev1.KeyToPath
	for _, it := range items {
		paths = append(paths, corev1.KeyToPath{Key: it.key, Path: it.name, Mode: ptr(it.mode)})
	}
	if s.secret {
		return corev1.Volume{Name: name, VolumeSource: corev1.VolumeSource{Secret: &corev1.SecretVolumeSource{
			SecretName: s.name, Items: paths, DefaultMode: ptr[int32](fileMode),
		}}}
	}
	return corev1.Volume{Name: name, VolumeSource: corev1.VolumeSource{ConfigMap: &corev1.ConfigMapVolumeSource{
		LocalObjectReference: corev1.LocalObjectReference{Name: s.name}, Items: paths, DefaultMode: ptr[int32](fileMode),
	}}}
}

// pack puts known files into as few ConfigMaps as Kubernetes' limit allows, in
// order.
func (r *renderer) pack(set *fileSet, files []static) {
	for len(files) > 0 {
		n, size := 0, 0
		for n < len(files) && size+len(files[n].content) <= maxConfigMap {
			size += len(files[n].content)
			n++
		}
		if n == 0 {
			f := files[0]
			r.errorf("container %q: file %s has %d bytes; the most that Kubernetes can put into a container is %d", f.container, f.path, len(f.content), maxConfigMap)
			files = files[1:]
			continue
		}
		r.configMap(set, files[:n])
		files = files[n:]
	}
}

func (r *renderer) configMap(set *fileSet, files []static) {
	cm := &corev1.ConfigMap{TypeMeta: gvk("v1", "ConfigMap"), Immutable: ptr(true)}
	hashed := make([]string, 0, 2*len(files))
	plainModes := true
	var items []item
	for _, f := range files {
		// Text that came as bytes is kept as text, so that people can review it.
		if utf8.Valid(f.content) {
			if cm.Data == nil {
				cm.Data = map[string]string{}
			}
			cm.Data[f.key] = string(f.content)
		} else {
			if cm.BinaryData == nil {
				cm.BinaryData = map[string][]byte{}
			}
			cm.BinaryData[f.key] = f.content
		}
		hashed = append(hashed, f.key, string(f.content))
		plainModes = plainModes && f.mode == fileMode
		items = append(items, item{f.key, f.key, f.mode})
	}
	digest := hash(hashed...)
	cm.ObjectMeta = r.meta(r.w.Name + "-files-" + digest)
	if plainModes {
		items = nil
	}
	// The volume's name must not change with the content: it would hide what
	// has changed in a diff.
	name := "static-" + strconv.Itoa(len(set.configMaps))
	set.configMaps = append(set.configMaps, cm)
	set.volumes = append(set.volumes, source{name: cm.Name}.volume(name, items))
	for _, f := range files {
		set.mounts[f.container] = append(set.mounts[f.container], corev1.VolumeMount{Name: name, MountPath: f.path, SubPath: f.key, ReadOnly: true})
	}
}

// mode returns a file's mode.
func (r *renderer) mode(c Container, f File) int32 {
	if f.Mode == "" {
		return fileMode
	}
	m, err := strconv.ParseUint(f.Mode, 8, 32)
	if err != nil || m > 0o777 {
		r.errorf("container %q: file %s: mode %q is not an octal number up to 0777", c.Name, f.Path, f.Mode)
		return fileMode
	}
	return int32(m)
}

// fileKey returns a key for a file that is legal in a ConfigMap, tells people
// which file it is, and is not taken yet.
func fileKey(taken map[string]bool, container, path string) string {
	key := strings.Map(func(c rune) rune {
		switch {
		case c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z', c >= '0' && c <= '9', c == '.', c == '-', c == '_':
			return c
		case c == '/':
			return '-'
		}
		return '_'
	}, strings.Trim(path, "/"))
	if key == "" || key[0] == '.' {
		key = "file" + key // ".." at the start is not legal
	}
	key = fit(key, maxFileKey)
	if taken[key] {
		key += "-" + hash(container, path)
	}
	taken[key] = true
	return key
}
