package gateway

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	gwv1 "sigs.k8s.io/gateway-api/apis/v1"

	"github.com/stratahq/strata/internal/gateway/translate"
)

// statuses writes all statuses but those of gateways.
func (l *leader) statuses(ctx context.Context, t *translation) error {
	var errs []error
	write := func(kind, name string, update func() error) {
		switch err := update(); {
		case err == nil, apierrors.IsNotFound(err):
		case apierrors.IsConflict(err):
			// It has changed since it was read, which sets off another round.
			l.work.after(again)
		default:
			errs = append(errs, fmt.Errorf("write the status of %s %s: %w", kind, name, err))
		}
	}
	api := l.gateway.GatewayV1()
	for _, c := range t.objects.Classes {
		if want, ok := t.result.Classes[c.Name]; ok {
			next := c.DeepCopy()
			next.Status.SupportedFeatures = want.SupportedFeatures
			next.Status.Conditions = merge(c.Status.Conditions, want.Conditions, classConditions)
			if !equality.Semantic.DeepEqual(c.Status, next.Status) {
				write("GatewayClass", c.Name, func() error {
					_, err := api.GatewayClasses().UpdateStatus(ctx, next, metav1.UpdateOptions{})
					return err
				})
			}
		}
	}
	for _, r := range t.objects.HTTPRoutes {
		key := translate.Key{Namespace: r.Namespace, Name: r.Name}
		if parents := l.parents(r.Status.Parents, t.result.HTTPRoutes[key].Parents); !equality.Semantic.DeepEqual(r.Status.Parents, parents) {
			next := r.DeepCopy()
			next.Status.Parents = parents
			write("HTTPRoute", key.String(), func() error {
				_, err := api.HTTPRoutes(r.Namespace).UpdateStatus(ctx, next, metav1.UpdateOptions{})
				return err
			})
		}
	}
	for _, r := range t.objects.GRPCRoutes {
		key := translate.Key{Namespace: r.Namespace, Name: r.Name}
		if parents := l.parents(r.Status.Parents, t.result.GRPCRoutes[key].Parents); !equality.Semantic.DeepEqual(r.Status.Parents, parents) {
			next := r.DeepCopy()
			next.Status.Parents = parents
			write("GRPCRoute", key.String(), func() error {
				_, err := api.GRPCRoutes(r.Namespace).UpdateStatus(ctx, next, metav1.UpdateOptions{})
				return err
			})
		}
	}
	for _, p := range t.objects.BackendTLSPolicies {
		key := translate.Key{Namespace: p.Namespace, Name: p.Name}
		if ancestors := l.ancestors(p.Status.Ancestors, t.result.Policies[key].Ancestors); !equality.Semantic.DeepEqual(p.Status.Ancestors, ancestors) {
			next := p.DeepCopy()
			next.Status.Ancestors = ancestors
			write("BackendTLSPolicy", key.String(), func() error {
				_, err := api.BackendTLSPolicies(p.Namespace).UpdateStatus(ctx, next, metav1.UpdateOptions{})
				return err
			})
		}
	}
	return errors.Join(errs...)
}

// gatewayStatus writes the status of a gateway.
func (l *leader) gatewayStatus(ctx context.Context, g *translate.Gateway, refused string) error {
	want := g.Status(l.deployed(g, refused))
	have := g.Object.Status
	next := g.Object.DeepCopy()
	next.Status.Addresses = want.Addresses
	next.Status.Conditions = merge(have.Conditions, want.Conditions, gatewayConditions)
	next.Status.Listeners = nil
	for _, ls := range want.Listeners {
		i := slices.IndexFunc(have.Listeners, func(h gwv1.ListenerStatus) bool { return h.Name == ls.Name })
		if i >= 0 {
			ls.Conditions = merge(have.Listeners[i].Conditions, ls.Conditions, listenerConditions)
		} else {
			ls.Conditions = merge(nil, ls.Conditions, listenerConditions)
		}
		next.Status.Listeners = append(next.Status.Listeners, ls)
	}
	if equality.Semantic.DeepEqual(have, next.Status) {
		return nil
	}
	_, err := l.gateway.GatewayV1().Gateways(next.Namespace).UpdateStatus(ctx, next, metav1.UpdateOptions{})
	switch {
	case apierrors.IsConflict(err):
		l.work.after(again)
		return nil
	case err != nil && !apierrors.IsNotFound(err):
		return fmt.Errorf("write the status of Gateway %s: %w", g.Key(), err)
	}
	return nil
}

// Conditions that are the controller's: others are left alone.
var (
	classConditions    = []string{string(gwv1.GatewayClassConditionStatusAccepted)}
	gatewayConditions  = []string{string(gwv1.GatewayConditionAccepted), string(gwv1.GatewayConditionProgrammed), string(gwv1.GatewayConditionResolvedRefs), string(gwv1.GatewayConditionInsecureFrontendValidationMode)}
	listenerConditions = []string{string(gwv1.ListenerConditionAccepted), string(gwv1.ListenerConditionProgrammed), string(gwv1.ListenerConditionResolvedRefs), string(gwv1.ListenerConditionConflicted), string(gwv1.ListenerConditionOverlappingTLSConfig)}
)

// merge returns conditions as they are to be: the wanted ones, and those that are not
// ours. Times of conditions that stay what they are stay too, and what was said of a
// later generation is not changed.
func merge(have, want []metav1.Condition, ours []string) []metav1.Condition {
	out := slices.DeleteFunc(slices.Clone(have), func(c metav1.Condition) bool {
		return slices.Contains(ours, c.Type) && meta.FindStatusCondition(want, c.Type) == nil
	})
	for _, w := range want {
		if h := meta.FindStatusCondition(out, w.Type); h == nil || h.ObservedGeneration <= w.ObservedGeneration {
			meta.SetStatusCondition(&out, w)
		}
	}
	return out
}

// all returns the types of conditions.
func all(list ...[]metav1.Condition) []string {
	var out []string
	for _, l := range list {
		for _, c := range l {
			out = append(out, c.Type)
		}
	}
	return out
}

// parents returns the parents of a route's status: those of other controllers as they
// are, and ours.
func (l *leader) parents(have, want []gwv1.RouteParentStatus) []gwv1.RouteParentStatus {
	ours := func(p gwv1.RouteParentStatus) bool { return string(p.ControllerName) == l.options.Controller }
	out := []gwv1.RouteParentStatus{} // the API takes no null
	for _, h := range have {
		if !ours(h) {
			out = append(out, h)
		}
	}
	for _, w := range want {
		i := slices.IndexFunc(have, func(h gwv1.RouteParentStatus) bool {
			return ours(h) && equality.Semantic.DeepEqual(h.ParentRef, w.ParentRef)
		})
		var before []metav1.Condition
		if i >= 0 {
			before = have[i].Conditions
		}
		w.Conditions = merge(before, w.Conditions, all(before, w.Conditions))
		out = append(out, w)
	}
	return out
}

// ancestors is what parents is, for policies.
func (l *leader) ancestors(have, want []gwv1.PolicyAncestorStatus) []gwv1.PolicyAncestorStatus {
	ours := func(a gwv1.PolicyAncestorStatus) bool { return string(a.ControllerName) == l.options.Controller }
	out := []gwv1.PolicyAncestorStatus{}
	for _, h := range have {
		if !ours(h) {
			out = append(out, h)
		}
	}
	for _, w := range want {
		i := slices.IndexFunc(have, func(h gwv1.PolicyAncestorStatus) bool {
			return ours(h) && equality.Semantic.DeepEqual(h.AncestorRef, w.AncestorRef)
		})
		var before []metav1.Condition
		if i >= 0 {
			before = have[i].Conditions
		}
		w.Conditions = merge(before, w.Conditions, all(before, w.Conditions))
		out = append(out, w)
	}
	return out
}
