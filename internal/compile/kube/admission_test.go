package kube_test

import (
	"context"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	netv1 "k8s.io/api/networking/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"

	"github.com/stratahq/strata/internal/addr"
	"github.com/stratahq/strata/internal/cluster"
	"github.com/stratahq/strata/internal/cluster/clustertest"
	"github.com/stratahq/strata/internal/compile/kube"
)

const goodImage = "registry.acme.example/apps/web@sha256:1111111111111111111111111111111111111111111111111111111111111111"

// platformLabels are those of a pod of the platform's in the namespace shop.
func platformLabels() map[string]string {
	return map[string]string{
		"app.kubernetes.io/name": "web", "app.kubernetes.io/part-of": "acme", "app.kubernetes.io/managed-by": "strata",
		"strata.dev/environment": "prod", "strata.dev/team": "shop",
	}
}

// pod is a pod that every rule accepts, changed.
func pod(change func(*corev1.Pod)) *corev1.Pod {
	p := &corev1.Pod{
		TypeMeta: metav1.TypeMeta{APIVersion: "v1", Kind: "Pod"}, ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "web", Labels: platformLabels()},
		Spec: corev1.PodSpec{ServiceAccountName: "web", Containers: []corev1.Container{{Name: "main", Image: goodImage}}},
	}
	if change != nil {
		change(p)
	}
	return p
}

func service(change func(*corev1.Service)) *corev1.Service {
	s := &corev1.Service{
		TypeMeta: metav1.TypeMeta{APIVersion: "v1", Kind: "Service"}, ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "web"},
		Spec: corev1.ServiceSpec{Ports: []corev1.ServicePort{{Port: 80}}},
	}
	if change != nil {
		change(s)
	}
	return s
}

// apiServer is a real API server with the rules in it.
type apiServer struct {
	*cluster.Client
	t *testing.T
}

func newAPIServer(t *testing.T) *apiServer {
	c, err := cluster.Open(clustertest.Start(t))
	if err != nil {
		t.Fatal(err)
	}
	s := &apiServer{c, t}
	for name, labels := range map[string]map[string]string{
		"shop":           {"app.kubernetes.io/part-of": "acme", "strata.dev/environment": "prod", "strata.dev/team": "shop"},
		"strata-gateway": {"app.kubernetes.io/part-of": "acme", "strata.dev/environment": "prod"},
		"elsewhere":      {"app.kubernetes.io/part-of": "other", "strata.dev/environment": "prod", "strata.dev/team": "elsewhere"},
	} {
		if _, err := c.Typed.CoreV1().Namespaces().Create(t.Context(), &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: name, Labels: labels}}, metav1.CreateOptions{}); err != nil {
			t.Fatal(err)
		}
	}
	today := time.Now().UTC().Truncate(24 * time.Hour)
	tomorrow := today.AddDate(0, 0, 1) // the day may end during the test
	exception := func(rule, kind, name string, last time.Time) kube.Exception {
		return kube.Exception{Rule: rule, Kind: kind, Namespace: "shop", Name: name, Expires: last, Owner: "shop", Reason: "It is tried here."}
	}
	objs, err := kube.RenderAdmission(kube.Env{Platform: "acme", Name: "prod", Cloud: "aws"}, kube.Admission{
		Addr: addr.Platform("prod", "policy"), Registries: []string{"registry.acme.example/apps/"}, Images: []string{"tool:1"},
		Exceptions: []kube.Exception{
			exception("service-exposed", "Service", "legacy-*", tomorrow), exception("service-exposed", "Service", "former", today.AddDate(0, 0, -1)),
			exception("pss-host-ports", "DaemonSet", "agent", today.AddDate(1, 0, 0)), exception("image-digest", "Pod", "old", today.AddDate(0, 0, -1)),
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, o := range objs {
		b, err := kube.MarshalJSON(o)
		if err != nil {
			t.Fatal(err)
		}
		u := &unstructured.Unstructured{}
		if err := u.UnmarshalJSON(b); err != nil {
			t.Fatal(err)
		}
		if _, err := c.Apply(t.Context(), u, cluster.ApplyOptions{}); err != nil {
			t.Fatalf("%s: %v", cluster.Name(u), err)
		}
	}
	return s
}

// create asks for an object, which is not kept.
func (s *apiServer) create(ctx context.Context, obj runtime.Object) error {
	m, err := runtime.DefaultUnstructuredConverter.ToUnstructured(obj)
	if err != nil {
		return err
	}
	_, err = s.Apply(ctx, &unstructured.Unstructured{Object: m}, cluster.ApplyOptions{DryRun: true})
	return err
}

// refused wants a request to be refused with a text. A rule holds a moment after it was
// made, so it asks again for a while.
func (s *apiServer) refused(t *testing.T, want string, ask func(context.Context) error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	for {
		err := ask(ctx)
		if apierrors.IsForbidden(err) && strings.Contains(err.Error(), want) {
			return
		}
		select {
		case <-ctx.Done():
			t.Fatalf("%v; want it refused with %q", err, want)
		case <-time.After(50 * time.Millisecond):
		}
	}
}

// TestAdmission has, for every rule, objects that the API server refuses and ones that it
// takes.
func TestAdmission(t *testing.T) {
	s := newAPIServer(t)
	image := func(ref string) func(*corev1.Pod) { return func(p *corev1.Pod) { p.Spec.Containers[0].Image = ref } }
	typed := func(name string, typ corev1.ServiceType) *corev1.Service {
		return service(func(s *corev1.Service) { s.Name, s.Spec.Type = name, typ })
	}
	port := func(account string) *corev1.Pod {
		return pod(func(p *corev1.Pod) {
			p.Spec.ServiceAccountName, p.Spec.Containers[0].Ports = account, []corev1.ContainerPort{{ContainerPort: 80, HostPort: 80}}
		})
	}
	yes := true
	unlabelled := func(label string) *corev1.Pod { return pod(func(p *corev1.Pod) { delete(p.Labels, label) }) }
	ingress := &netv1.Ingress{
		TypeMeta: metav1.TypeMeta{APIVersion: "networking.k8s.io/v1", Kind: "Ingress"}, ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "web"},
		Spec: netv1.IngressSpec{DefaultBackend: &netv1.IngressBackend{Service: &netv1.IngressServiceBackend{Name: "web", Port: netv1.ServiceBackendPort{Number: 80}}}},
	}
	for _, c := range []struct {
		name, says string
		obj        runtime.Object
	}{
		{"another registry", "images must be of a registry of the platform: docker.io/library/web@", pod(image("docker.io/library/web@" + goodImage[strings.Index(goodImage, "sha256:"):]))},
		{"a tag", "images must be named by digest: registry.acme.example/apps/web:1", pod(image("registry.acme.example/apps/web:1"))},
		{"an init container's tag", "images must be named by digest: registry.acme.example/apps/init:1", pod(func(p *corev1.Pod) {
			p.Spec.InitContainers = []corev1.Container{{Name: "init", Image: "registry.acme.example/apps/init:1"}}
		})},
		{"an exception that has expired", "images must be named by digest", pod(func(p *corev1.Pod) { p.Name = "old"; image("registry.acme.example/apps/web:1")(p) })},
		{"no name", "must have the label app.kubernetes.io/name", unlabelled("app.kubernetes.io/name")},
		{"no platform", "must have the label app.kubernetes.io/part-of=acme", unlabelled("app.kubernetes.io/part-of")},
		{"no manager", "must have the label app.kubernetes.io/managed-by=strata", unlabelled("app.kubernetes.io/managed-by")},
		{"no environment", "must have the label strata.dev/environment=prod", unlabelled("strata.dev/environment")},
		{"another team", "must have the label strata.dev/team=shop", pod(func(p *corev1.Pod) { p.Labels["strata.dev/team"] = "payments" })},
		{"privileged", "containers must not be privileged", pod(func(p *corev1.Pod) {
			p.Spec.Containers[0].SecurityContext = &corev1.SecurityContext{Privileged: &yes}
		})},
		{"the node's processes", "out of the node's namespaces", pod(func(p *corev1.Pod) { p.Spec.HostPID = true })},
		{"the node's memory", "out of the node's namespaces", pod(func(p *corev1.Pod) { p.Spec.HostIPC = true })},
		{"the node's files", "must not mount folders of the node", pod(func(p *corev1.Pod) {
			p.Spec.Volumes = []corev1.Volume{{Name: "etc", VolumeSource: corev1.VolumeSource{HostPath: &corev1.HostPathVolumeSource{Path: "/etc"}}}}
		})},
		{"the node's network", "must not use the node's network", pod(func(p *corev1.Pod) { p.Spec.HostNetwork = true })},
		{"a port of the node", "must not open ports on the node", port("web")},
		{"a load balancer", "must not be of type LoadBalancer", typed("web", corev1.ServiceTypeLoadBalancer)},
		{"a port of every node", "must not be of type NodePort", typed("web", corev1.ServiceTypeNodePort)},
		{"an exception that expired yesterday", "must not be of type LoadBalancer", typed("former", corev1.ServiceTypeLoadBalancer)},
		{"addresses", "addresses of its own choosing", service(func(s *corev1.Service) { s.Spec.ExternalIPs = []string{"192.0.2.1"} })},
		{"an ingress", "give the workload a route", ingress},
	} {
		t.Run(c.name, func(t *testing.T) {
			s.refused(t, c.says, func(ctx context.Context) error { return s.create(ctx, c.obj) })
		})
	}
	elsewhere := func(namespace string) *corev1.Service {
		return service(func(s *corev1.Service) { s.Namespace, s.Spec.Type = namespace, corev1.ServiceTypeLoadBalancer })
	}
	for name, obj := range map[string]runtime.Object{
		"a pod of the platform": pod(nil), "an image that is named as it is": pod(image("tool:1")), "a service": service(nil),
		"a load balancer that is excepted": typed("legacy-bank", corev1.ServiceTypeLoadBalancer), "a port of the node that is excepted": port("agent"),
		"a gateway's load balancer": elsewhere("strata-gateway"), "another platform's": elsewhere("elsewhere"),
	} {
		if err := s.create(t.Context(), obj); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	t.Run("changes", func(t *testing.T) { s.changes(t) })
}

// changes: what an object becomes is judged, what it was is not.
func (s *apiServer) changes(t *testing.T) {
	pods, services := s.Typed.CoreV1().Pods("shop"), s.Typed.CoreV1().Services("shop")
	p, err := pods.Create(t.Context(), pod(nil), metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	svc, err := services.Create(t.Context(), service(nil), metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	bank, err := services.Create(t.Context(), service(func(s *corev1.Service) { s.Name, s.Spec.Type = "legacy-bank", corev1.ServiceTypeLoadBalancer }), metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	dry := metav1.UpdateOptions{DryRun: []string{metav1.DryRunAll}}
	s.refused(t, "named by digest: registry.acme.example/apps/web:2", func(ctx context.Context) error {
		c := p.DeepCopy()
		c.Spec.Containers[0].Image = "registry.acme.example/apps/web:2"
		_, err := pods.Update(ctx, c, dry)
		return err
	})
	s.refused(t, "registry of the platform: busybox", func(ctx context.Context) error {
		c := p.DeepCopy()
		c.Spec.EphemeralContainers = []corev1.EphemeralContainer{{EphemeralContainerCommon: corev1.EphemeralContainerCommon{Name: "debug", Image: "busybox", TerminationMessagePolicy: "File", ImagePullPolicy: "Always"}}}
		_, err := pods.UpdateEphemeralContainers(ctx, "web", c, dry)
		return err
	})
	s.refused(t, "label app.kubernetes.io/part-of=acme", func(ctx context.Context) error {
		c := p.DeepCopy()
		c.Labels["app.kubernetes.io/part-of"] = "other"
		_, err := pods.Update(ctx, c, dry)
		return err
	})
	s.refused(t, "must not be of type NodePort", func(ctx context.Context) error {
		c := svc.DeepCopy()
		c.Spec.Type = corev1.ServiceTypeNodePort
		_, err := services.Update(ctx, c, dry)
		return err
	})
	// An exception is for what is made, not for what becomes of it.
	s.refused(t, "addresses of its own choosing", func(ctx context.Context) error {
		c := bank.DeepCopy()
		c.Spec.ExternalIPs = []string{"192.0.2.1"}
		_, err := services.Update(ctx, c, dry)
		return err
	})
	p.Annotations, bank.Annotations = map[string]string{"note": "x"}, map[string]string{"note": "x"}
	if _, err := pods.Update(t.Context(), p, dry); err != nil {
		t.Errorf("a note on a pod: %v", err)
	}
	if _, err := services.Update(t.Context(), bank, dry); err != nil {
		t.Errorf("a note on a Service that was accepted when it was made: %v", err)
	}
}
