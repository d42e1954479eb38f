package policy

import (
	"context"
	"encoding/json"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/pod-security-admission/api"
	psa "k8s.io/pod-security-admission/policy"
	psatest "k8s.io/pod-security-admission/test"
	"pgregory.net/rapid"
	"sigs.k8s.io/yaml"
)

// standard judges pods by the upstream implementation and by our rules.
type standard struct {
	set      *Set
	upstream psa.Evaluator
}

func newStandard(t *testing.T) standard {
	t.Helper()
	e, err := psa.NewEvaluator(psa.DefaultChecks(), nil)
	if err != nil {
		t.Fatal(err)
	}
	return standard{set: load(t), upstream: e}
}

func load(t testing.TB, sources ...Source) *Set {
	t.Helper()
	set, diags := Load(context.Background(), sources...)
	if diags.HasErrors() {
		t.Fatalf("load: %v", diags)
	}
	return set
}

// ours says which levels our rules deny: a rule names its level in its controls.
func (s standard) ours(t testing.TB, obj any) (baseline, restricted bool, say []string) {
	t.Helper()
	fs, err := s.set.Objects(context.Background(), ObjectContext{}, obj)
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range fs {
		for _, c := range f.Controls {
			switch {
			case strings.HasPrefix(c, "PSS baseline: "):
				baseline = true
			case strings.HasPrefix(c, "PSS restricted: "):
				restricted = true
			default:
				continue
			}
			say = append(say, f.Rule+": "+f.Message)
		}
	}
	return baseline, restricted, say
}

func (s standard) agree(t testing.TB, pod *corev1.Pod) {
	t.Helper()
	theirs := func(l api.Level) (bool, []string) {
		var why []string
		for _, r := range s.upstream.EvaluatePod(api.LevelVersion{Level: l, Version: api.LatestVersion()}, &pod.ObjectMeta, &pod.Spec) {
			if !r.Allowed {
				why = append(why, r.ForbiddenReason+": "+r.ForbiddenDetail)
			}
		}
		return len(why) > 0, why
	}
	tb, whyB := theirs(api.LevelBaseline)
	tr, whyR := theirs(api.LevelRestricted)
	raw, err := json.Marshal(pod)
	if err != nil {
		t.Fatal(err)
	}
	var plain map[string]any
	if err := json.Unmarshal(raw, &plain); err != nil {
		t.Fatal(err)
	}
	plain["kind"], plain["apiVersion"] = "Pod", "v1"
	for form, obj := range map[string]any{"typed": pod, "decoded": plain} {
		b, r, say := s.ours(t, obj)
		if b != tb || r != tr {
			t.Fatalf("%s: baseline denied: ours %v, upstream %v %q; restricted denied: ours %v, upstream %v %q\nours: %q\n%s", form, b, tb, whyB, r, tr, whyR, say, raw)
		}
	}
}

// TestPodSecurityFixtures runs the upstream module's own test data of every
// version through both implementations at the latest version.
func TestPodSecurityFixtures(t *testing.T) {
	s := newStandard(t)
	for _, pod := range minimalPods(t) {
		s.agree(t, pod)
	}
	dir := upstreamTestdata(t)
	n := 0
	seen := map[string]bool{}
	err := filepath.WalkDir(dir, func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || filepath.Ext(name) != ".yaml" {
			return err
		}
		data, err := os.ReadFile(name)
		if err != nil {
			return err
		}
		if seen[string(data)] { // most versions repeat their predecessor's
			return nil
		}
		seen[string(data)] = true
		var pod corev1.Pod
		if err := yaml.UnmarshalStrict(data, &pod); err != nil {
			return err
		}
		n++
		s.agree(t, &pod)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if n < 300 {
		t.Fatalf("only %d fixtures found", n)
	}
	t.Logf("%d distinct fixtures agree", n)
}

func minimalPods(t *testing.T) []*corev1.Pod {
	var out []*corev1.Pod
	for _, l := range []api.Level{api.LevelBaseline, api.LevelRestricted} {
		for minor := range 38 {
			pod, err := psatest.GetMinimalValidPod(l, api.MajorMinorVersion(1, minor))
			if err != nil {
				t.Fatal(err)
			}
			out = append(out, pod)
			if l == api.LevelRestricted {
				win, err := psatest.GetMinimalValidWindowsPod(l, api.MajorMinorVersion(1, minor))
				if err != nil {
					t.Fatal(err)
				}
				out = append(out, win)
			}
		}
	}
	return out
}

func upstreamTestdata(t *testing.T) string {
	t.Helper()
	out, err := exec.Command("go", "list", "-m", "-f", "{{.Dir}}", "k8s.io/pod-security-admission").Output()
	if err != nil {
		t.Fatalf("locate the module: %v", err)
	}
	return filepath.Join(strings.TrimSpace(string(out)), "test", "testdata")
}

func TestPodSecurityAgreesOnRandomPods(t *testing.T) {
	s := newStandard(t)
	rapid.Check(t, func(rt *rapid.T) { s.agree(failer{t, rt}, randomPod(rt)) })
}

// failer lets rapid shrink a failure that testing.TB helpers report.
type failer struct {
	testing.TB
	rt *rapid.T
}

func (f failer) Helper()                           {}
func (f failer) Fatal(args ...any)                 { f.rt.Fatal(args...) }
func (f failer) Fatalf(format string, args ...any) { f.rt.Fatalf(format, args...) }

func maybe[T any](t *rapid.T, name string, values ...T) *T {
	i := rapid.IntRange(-len(values), len(values)-1).Draw(t, name)
	if i < 0 {
		return nil
	}
	return &values[i]
}

func value[T any](t *rapid.T, name string, values ...T) T {
	var none T
	if p := maybe(t, name, values...); p != nil {
		return *p
	}
	return none
}

// randomPod varies every field that the standards name. Each pod starts from
// one that is allowed and changes few things, so that both answers are common.
func randomPod(t *rapid.T) *corev1.Pod {
	pod, err := psatest.GetMinimalValidPod(rapid.SampledFrom([]api.Level{api.LevelBaseline, api.LevelRestricted}).Draw(t, "level"), api.MajorMinorVersion(1, 37))
	if err != nil {
		t.Fatal(err)
	}
	pod.Name = "p"
	changes := rapid.IntRange(0, 4).Draw(t, "changes")
	for range changes {
		changePod(t, pod)
	}
	return pod
}

func changePod(t *rapid.T, pod *corev1.Pod) {
	spec := &pod.Spec
	psc := func() *corev1.PodSecurityContext {
		if spec.SecurityContext == nil {
			spec.SecurityContext = &corev1.PodSecurityContext{}
		}
		return spec.SecurityContext
	}
	profiles := []string{"RuntimeDefault", "Localhost", "Unconfined", ""}
	apparmor := func() *corev1.AppArmorProfile {
		if p := maybe(t, "apparmor", profiles...); p != nil {
			return &corev1.AppArmorProfile{Type: corev1.AppArmorProfileType(*p)}
		}
		return nil
	}
	seccomp := func() *corev1.SeccompProfile {
		if p := maybe(t, "seccomp", profiles...); p != nil {
			return &corev1.SeccompProfile{Type: corev1.SeccompProfileType(*p)}
		}
		return nil
	}
	selinux := func() *corev1.SELinuxOptions {
		return &corev1.SELinuxOptions{
			Type: value(t, "setype", "container_t", "container_engine_t", "spc_t"),
			User: value(t, "seuser", "system_u"), Role: value(t, "serole", "system_r"),
		}
	}
	windows := func() *corev1.WindowsSecurityContextOptions {
		return &corev1.WindowsSecurityContextOptions{HostProcess: maybe(t, "hostprocess", true, false)}
	}
	switch rapid.IntRange(0, 12).Draw(t, "what") {
	case 0:
		spec.HostNetwork = rapid.Bool().Draw(t, "net")
		spec.HostPID = rapid.Bool().Draw(t, "pid")
		spec.HostIPC = rapid.Bool().Draw(t, "ipc")
	case 1:
		spec.HostUsers = maybe(t, "hostusers", true, false)
	case 2:
		spec.OS = &corev1.PodOS{Name: corev1.OSName(value(t, "os", "windows", "linux"))}
	case 3:
		spec.Volumes = append(spec.Volumes, corev1.Volume{Name: "v", VolumeSource: rapid.SampledFrom([]corev1.VolumeSource{
			{}, {HostPath: &corev1.HostPathVolumeSource{}}, {EmptyDir: &corev1.EmptyDirVolumeSource{}}, {NFS: &corev1.NFSVolumeSource{}},
			{CSI: &corev1.CSIVolumeSource{}}, {Image: &corev1.ImageVolumeSource{}}, {Ephemeral: &corev1.EphemeralVolumeSource{}},
			{Projected: &corev1.ProjectedVolumeSource{}}, {ConfigMap: &corev1.ConfigMapVolumeSource{}}, {Secret: &corev1.SecretVolumeSource{}},
			{HostPath: &corev1.HostPathVolumeSource{}, EmptyDir: &corev1.EmptyDirVolumeSource{}},
			{DownwardAPI: &corev1.DownwardAPIVolumeSource{}}, {PersistentVolumeClaim: &corev1.PersistentVolumeClaimVolumeSource{}}, {ISCSI: &corev1.ISCSIVolumeSource{}},
		}).Draw(t, "volume")})
	case 4:
		pod.Annotations = map[string]string{
			value(t, "annotation", "container.apparmor.security.beta.kubernetes.io/container1", "example.com/x"): value(t, "profile", "unconfined", "runtime/default", "localhost/x"),
		}
	case 5:
		psc().Sysctls = []corev1.Sysctl{{Name: value(t, "sysctl", append(safeSysctls, "kernel.msgmax", "net.core.somaxconn")...)}}
	case 6:
		p := psc()
		p.RunAsNonRoot, p.RunAsUser = maybe(t, "nonroot", true, false), maybe(t, "user", int64(0), 1000)
		p.AppArmorProfile, p.SeccompProfile = apparmor(), seccomp()
	case 7:
		psc().SELinuxOptions = selinux()
		psc().WindowsOptions = windows()
	default:
		c := randomContainer(t, pod)
		if c.SecurityContext == nil {
			c.SecurityContext = &corev1.SecurityContext{}
		}
		changeContainer(t, c, apparmor, seccomp, selinux, windows)
	}
}

var safeSysctls = []string{"kernel.shm_rmid_forced", "net.ipv4.tcp_rmem", "net.ipv4.tcp_notsent_lowat", "net.ipv4.tcp_slow_start_after_idle"}

func randomContainer(t *rapid.T, pod *corev1.Pod) *corev1.Container {
	switch rapid.IntRange(0, 2).Draw(t, "container") {
	case 0:
		return &pod.Spec.Containers[0]
	case 1:
		return &pod.Spec.InitContainers[0]
	}
	if len(pod.Spec.EphemeralContainers) == 0 {
		var e corev1.EphemeralContainer
		raw, _ := json.Marshal(pod.Spec.Containers[0])
		if err := json.Unmarshal(raw, &e.EphemeralContainerCommon); err != nil {
			t.Fatal(err)
		}
		e.Name = "debug"
		pod.Spec.EphemeralContainers = append(pod.Spec.EphemeralContainers, e)
	}
	return (*corev1.Container)(&pod.Spec.EphemeralContainers[0].EphemeralContainerCommon)
}

func changeContainer(t *rapid.T, c *corev1.Container, apparmor func() *corev1.AppArmorProfile, seccomp func() *corev1.SeccompProfile, selinux func() *corev1.SELinuxOptions, windows func() *corev1.WindowsSecurityContextOptions) {
	sc := c.SecurityContext
	hosts := []string{"", "127.0.0.1", "example.com"}
	handler := func() corev1.ProbeHandler {
		h := corev1.ProbeHandler{HTTPGet: &corev1.HTTPGetAction{Host: value(t, "httphost", hosts...)}}
		if rapid.Bool().Draw(t, "tcp") {
			h = corev1.ProbeHandler{TCPSocket: &corev1.TCPSocketAction{Host: value(t, "tcphost", hosts...)}}
		}
		return h
	}
	switch rapid.IntRange(0, 9).Draw(t, "field") {
	case 0:
		sc.Privileged = maybe(t, "privileged", true, false)
	case 1:
		sc.AllowPrivilegeEscalation = maybe(t, "ape", true, false)
	case 2:
		caps := []corev1.Capability{"CHOWN", "NET_BIND_SERVICE", "SYS_ADMIN", "NET_RAW", "ALL"}
		sc.Capabilities = &corev1.Capabilities{
			Add:  rapid.SliceOfN(rapid.SampledFrom(caps), 0, 2).Draw(t, "add"),
			Drop: rapid.SliceOfN(rapid.SampledFrom(slices.Concat(caps, []corev1.Capability{"ALL", "ALL"})), 0, 2).Draw(t, "drop"),
		}
	case 3:
		c.Ports = append(c.Ports, corev1.ContainerPort{ContainerPort: 80, HostPort: value(t, "hostport", int32(0), 80)})
	case 4:
		sc.RunAsNonRoot, sc.RunAsUser = maybe(t, "cnonroot", true, false), maybe(t, "cuser", int64(0), 1000)
	case 5:
		sc.AppArmorProfile, sc.SeccompProfile = apparmor(), seccomp()
	case 6:
		sc.SELinuxOptions, sc.WindowsOptions = selinux(), windows()
	case 7:
		sc.ProcMount = maybe(t, "procmount", corev1.DefaultProcMount, corev1.UnmaskedProcMount)
	case 8:
		switch p := (&corev1.Probe{ProbeHandler: handler()}); rapid.IntRange(0, 2).Draw(t, "probe") {
		case 0:
			c.LivenessProbe = p
		case 1:
			c.ReadinessProbe = p
		case 2:
			c.StartupProbe = p
		}
	case 9:
		h := handler()
		l := &corev1.LifecycleHandler{HTTPGet: h.HTTPGet, TCPSocket: h.TCPSocket}
		c.Lifecycle = &corev1.Lifecycle{PostStart: l}
		if rapid.Bool().Draw(t, "prestop") {
			c.Lifecycle = &corev1.Lifecycle{PreStop: l}
		}
	}
}
