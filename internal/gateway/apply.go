package gateway

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	gwv1 "sigs.k8s.io/gateway-api/apis/v1"

	"github.com/stratahq/strata/internal/gateway/deploy"
	"github.com/stratahq/strata/internal/gateway/translate"
)

// client is a client of one kind in one namespace.
type client[T any] interface {
	Get(ctx context.Context, name string, o metav1.GetOptions) (T, error)
	Patch(ctx context.Context, name string, kind types.PatchType, data []byte, o metav1.PatchOptions, subresources ...string) (T, error)
	Delete(ctx context.Context, name string, o metav1.DeleteOptions) error
}

// leader is what the replica that leads remembers.
type leader struct {
	*Controller
	applied map[translate.Key]*applied
}

// applied is what was applied for a gateway, and when.
type applied struct {
	digest [sha256.Size]byte
	at     time.Time
	// generation is that of the Deployment after it was applied, service what the API
	// server has answered.
	generation int64
	service    *corev1.Service
	// failed says what could not be applied, unusable that it is the address.
	failed, unusable string
}

// reconcile makes the cluster what a translation says.
func (l *leader) reconcile(ctx context.Context, t *translation) error {
	var errs []error
	names, known := map[translate.Key]bool{}, map[translate.Key]bool{}
	for i := range t.result.Gateways {
		g := &t.result.Gateways[i]
		known[g.Key()] = true
		names[translate.Key{Namespace: g.Object.Namespace, Name: deploy.Name(g.Object)}] = true
		if err := l.deploy(ctx, g); err != nil {
			errs = append(errs, fmt.Errorf("gateway %s: %w", g.Key(), err))
		}
		if err := l.gatewayStatus(ctx, g, t.refused[g.Key()]); err != nil {
			errs = append(errs, err)
		}
	}
	for key := range l.applied {
		if !known[key] {
			delete(l.applied, key)
		}
	}
	return errors.Join(append(errs, l.statuses(ctx, t), l.prune(ctx, t, names))...)
}

// deploy applies the objects of a gateway, unless they are as they should be. One that is
// not accepted is left as it is.
func (l *leader) deploy(ctx context.Context, g *translate.Gateway) error {
	if !g.Accepted() {
		return nil
	}
	want := deploy.For(g, l.options.Deploy)
	b, err := json.Marshal(want)
	if err != nil {
		return err
	}
	digest := sha256.Sum256(b)
	a := l.applied[g.Key()]
	if a != nil && a.digest == digest && a.failed == "" && a.unusable == "" && time.Since(a.at) < resync && l.unchanged(a, want) {
		return nil
	}
	next := &applied{digest: digest, at: time.Now()}
	if a != nil {
		next.service = a.service
	}
	l.applied[g.Key()] = next
	if _, err := deploy.Address(g.Object); err != nil {
		next.unusable = err.Error()
		return nil // nothing to try again
	}
	err = l.applyAll(ctx, g.Object, want, next)
	if err != nil && next.unusable == "" {
		next.failed = err.Error()
	}
	return err
}

// unchanged reports whether nobody has changed what was applied.
func (l *leader) unchanged(a *applied, want deploy.Objects) bool {
	key := translate.Key{Namespace: want.Service.Namespace, Name: want.Service.Name}
	d, s := own[appsv1.Deployment](l.watch, "Deployment", key), own[corev1.Service](l.watch, "Service", key)
	if d == nil || s == nil || d.DeletionTimestamp != nil || s.DeletionTimestamp != nil {
		return false
	}
	return d.Generation <= a.generation && s.Spec.Type == want.Service.Spec.Type &&
		equality.Semantic.DeepEqual(s.Spec.Selector, want.Service.Spec.Selector) && samePorts(s, want.Service)
}

// samePorts reports whether Services have the same ports, but for what the cluster fills in.
func samePorts(a, b *corev1.Service) bool {
	return slices.EqualFunc(a.Spec.Ports, b.Spec.Ports, func(x, y corev1.ServicePort) bool {
		return x.Name == y.Name && x.Port == y.Port && x.TargetPort == y.TargetPort && x.Protocol == y.Protocol
	})
}

func (l *leader) applyAll(ctx context.Context, g *gwv1.Gateway, want deploy.Objects, a *applied) error {
	if _, err := apply(ctx, l.Client.CoreV1().ServiceAccounts(g.Namespace), g, want.ServiceAccount); err != nil {
		return err
	}
	if err := l.applyService(ctx, g, want.Service, a); err != nil {
		return err
	}
	d, err := apply(ctx, l.Client.AppsV1().Deployments(g.Namespace), g, want.Deployment)
	if err != nil {
		return err
	}
	a.generation = d.Generation
	_, err = apply(ctx, l.Client.PolicyV1().PodDisruptionBudgets(g.Namespace), g, want.Budget)
	return err
}

// applyService applies a Service. One whose address is to be another one is made anew,
// since addresses cannot be changed.
func (l *leader) applyService(ctx context.Context, g *gwv1.Gateway, want *corev1.Service, a *applied) error {
	services := l.Client.CoreV1().Services(want.Namespace)
	if ip := want.Spec.ClusterIP; ip != "" {
		have, err := services.Get(ctx, want.Name, metav1.GetOptions{})
		if err == nil && metav1.IsControlledBy(have, g) && have.Spec.ClusterIP != ip {
			err = services.Delete(ctx, want.Name, metav1.DeleteOptions{Preconditions: &metav1.Preconditions{UID: &have.UID}})
		}
		if err != nil && !apierrors.IsNotFound(err) {
			return err
		}
	}
	s, err := apply(ctx, services, g, want)
	if err == nil && !samePorts(s, want) {
		// Ports that somebody else has added are not removed by applying without them.
		var data []byte
		if data, err = json.Marshal(map[string]any{"spec": map[string]any{"ports": want.Spec.Ports}}); err == nil {
			s, err = services.Patch(ctx, want.Name, types.MergePatchType, data, metav1.PatchOptions{FieldManager: Manager})
		}
	}
	if err != nil {
		if (want.Spec.ClusterIP != "" || want.Spec.LoadBalancerIP != "") && apierrors.IsInvalid(err) {
			a.unusable, a.service = err.Error(), nil
		}
		return err
	}
	a.service = s
	return nil
}

// apply applies an object of a gateway by server-side apply. One that is there already
// and is not the gateway's is left alone.
func apply[T metav1.Object](ctx context.Context, c client[T], g *gwv1.Gateway, want T) (T, error) {
	have, err := c.Get(ctx, want.GetName(), metav1.GetOptions{})
	switch {
	case err == nil && !metav1.IsControlledBy(have, g):
		return have, fmt.Errorf("%T %s is there already and is not the gateway's", have, want.GetName())
	case err != nil && !apierrors.IsNotFound(err):
		return have, err
	}
	// Fields that are sent are the manager's from then on; the status is not.
	fields, err := runtime.DefaultUnstructuredConverter.ToUnstructured(want)
	if err != nil {
		return have, err
	}
	delete(fields, "status")
	data, err := json.Marshal(fields)
	if err != nil {
		return have, err
	}
	return c.Patch(ctx, want.GetName(), types.ApplyPatchType, data, metav1.PatchOptions{FieldManager: Manager, Force: ptr(true)})
}

func ptr[T any](v T) *T { return &v }

// prune removes what runs gateways that are of another controller's class by now, or is
// called differently. What ran a Gateway that is gone is removed by the cluster itself;
// gateways whose class is gone run on, since that is more likely a mistake.
func (l *leader) prune(ctx context.Context, t *translation, names map[translate.Key]bool) error {
	classes := map[string]bool{}
	for _, c := range t.objects.Classes {
		classes[c.Name] = true
	}
	owners := map[types.UID]bool{}
	for _, g := range t.objects.Gateways {
		owners[g.UID] = classes[string(g.Spec.GatewayClassName)]
	}
	var errs []error
	seen := map[translate.Key]bool{}
	prune := func(o metav1.Object) {
		key := translate.Key{Namespace: o.GetNamespace(), Name: o.GetName()}
		owner := metav1.GetControllerOf(o)
		if names[key] || seen[key] || o.GetDeletionTimestamp() != nil || owner == nil || !owners[owner.UID] {
			return
		}
		seen[key] = true
		l.Log.Info("a gateway is removed", "namespace", key.Namespace, "name", key.Name)
		// The Deployment, by which the rest is found, goes last.
		errs = append(errs,
			remove(ctx, l.Client.PolicyV1().PodDisruptionBudgets(key.Namespace), key.Name, *owner),
			remove(ctx, l.Client.CoreV1().Services(key.Namespace), key.Name, *owner),
			remove(ctx, l.Client.CoreV1().ServiceAccounts(key.Namespace), key.Name, *owner),
			remove(ctx, l.Client.AppsV1().Deployments(key.Namespace), key.Name, *owner),
		)
	}
	for _, s := range list[corev1.Service](l.watch, "own Service") {
		prune(s)
	}
	for _, d := range list[appsv1.Deployment](l.watch, "own Deployment") {
		prune(d)
	}
	return errors.Join(errs...)
}

// remove removes an object of an owner.
func remove[T metav1.Object](ctx context.Context, c client[T], name string, owner metav1.OwnerReference) error {
	o, err := c.Get(ctx, name, metav1.GetOptions{})
	if err == nil {
		if by := metav1.GetControllerOf(o); by == nil || by.UID != owner.UID {
			return nil
		}
		uid := o.GetUID()
		err = c.Delete(ctx, name, metav1.DeleteOptions{Preconditions: &metav1.Preconditions{UID: &uid}})
	}
	if apierrors.IsNotFound(err) {
		return nil
	}
	return err
}

// deployed says how a gateway runs.
func (l *leader) deployed(g *translate.Gateway, refused string) translate.Deployed {
	key := translate.Key{Namespace: g.Object.Namespace, Name: deploy.Name(g.Object)}
	out := translate.Deployed{Problem: refused}
	a := l.applied[g.Key()]
	live := own[corev1.Service](l.watch, "Service", key)
	if a != nil {
		out.Unusable = a.unusable
		if out.Problem == "" {
			out.Problem = a.failed
		}
		// The answer to the last change is newer than what was watched.
		if a.service != nil && (live == nil || live.UID != a.service.UID) {
			live = a.service
		}
	}
	if live != nil {
		out.Addresses = addresses(live)
	}
	if d := own[appsv1.Deployment](l.watch, "Deployment", key); d != nil {
		out.Ready = d.Status.AvailableReplicas > 0
		for _, c := range d.Status.Conditions {
			if c.Type == appsv1.DeploymentReplicaFailure && c.Status == corev1.ConditionTrue && !out.Ready && out.Problem == "" {
				out.Problem = c.Message
			}
		}
	}
	return out
}

// addresses returns where a Service is reached.
func addresses(s *corev1.Service) []gwv1.GatewayStatusAddress {
	var out []gwv1.GatewayStatusAddress
	add := func(kind gwv1.AddressType, value string) {
		if value != "" && value != corev1.ClusterIPNone {
			out = append(out, gwv1.GatewayStatusAddress{Type: &kind, Value: value})
		}
	}
	if s.Spec.Type == corev1.ServiceTypeLoadBalancer {
		for _, i := range s.Status.LoadBalancer.Ingress {
			add(gwv1.IPAddressType, i.IP)
			add(gwv1.HostnameAddressType, i.Hostname)
		}
		return out
	}
	ips := s.Spec.ClusterIPs
	if len(ips) == 0 {
		ips = []string{s.Spec.ClusterIP}
	}
	for _, ip := range ips {
		add(gwv1.IPAddressType, ip)
	}
	return out
}
