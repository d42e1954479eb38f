package translate

import (
	"cmp"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	gwv1 "sigs.k8s.io/gateway-api/apis/v1"

	"github.com/stratahq/strata/internal/gateway/routepolicy"
	"github.com/stratahq/strata/internal/proxy/config"
)

// index finds objects.
type index struct {
	Options
	secrets    map[Key]*corev1.Secret
	configMaps map[Key]*corev1.ConfigMap
	services   map[Key]*corev1.Service
	slices     map[Key][]*discoveryv1.EndpointSlice // by Service
	policies   map[Key]*routepolicy.RoutePolicy
	namespaces map[string]labels.Set
	grants     map[string][]*gwv1.ReferenceGrant // by namespace
	tls        map[tlsTarget]*tlsPolicy
	allTLS     []*tlsPolicy
	// backends are made when they are first asked for.
	backends map[backendID]config.Backend
}

func newIndex(o *Objects, opts Options) *index {
	x := &index{
		Options: opts, secrets: byKey(o.Secrets), configMaps: byKey(o.ConfigMaps), services: byKey(o.Services), policies: byKey(o.RoutePolicies),
		slices: map[Key][]*discoveryv1.EndpointSlice{}, namespaces: map[string]labels.Set{}, grants: map[string][]*gwv1.ReferenceGrant{},
		backends: map[backendID]config.Backend{},
	}
	for _, s := range o.EndpointSlices {
		if name := s.Labels[discoveryv1.LabelServiceName]; name != "" {
			key := Key{Namespace: s.Namespace, Name: name}
			x.slices[key] = append(x.slices[key], s)
		}
	}
	for _, n := range o.Namespaces {
		x.namespaces[n.Name] = n.Labels
	}
	for _, g := range o.ReferenceGrants {
		x.grants[g.Namespace] = append(x.grants[g.Namespace], g)
	}
	x.tlsPolicies(o.BackendTLSPolicies)
	return x
}

// object is what all objects have.
type object interface {
	GetNamespace() string
	GetName() string
	GetCreationTimestamp() metav1.Time
}

func keyOf(o object) Key { return Key{Namespace: o.GetNamespace(), Name: o.GetName()} }

func byKey[T object](list []T) map[Key]T {
	out := make(map[Key]T, len(list))
	for _, o := range list {
		out[keyOf(o)] = o
	}
	return out
}

// byAge returns the objects in the order of precedence: the oldest first, then by name.
func byAge[T object](list []T) []T {
	out := slices.Clone(list)
	slices.SortFunc(out, func(a, b T) int {
		return compareAge(a.GetCreationTimestamp().Time, keyOf(a), b.GetCreationTimestamp().Time, keyOf(b))
	})
	return out
}

func compareAge(a time.Time, ak Key, b time.Time, bk Key) int {
	// Timestamps have no parts of a second.
	return cmp.Or(cmp.Compare(a.Unix(), b.Unix()), strings.Compare(ak.Namespace, bk.Namespace), strings.Compare(ak.Name, bk.Name))
}

// reference is one from an object to another.
type reference struct {
	fromGroup, fromKind, fromNamespace string
	group, kind                        string
	to                                 Key
}

// permitted reports whether an object may refer to another: within its namespace always,
// else if a ReferenceGrant beside the other one says so.
func (x *index) permitted(r reference) bool {
	if r.fromNamespace == r.to.Namespace {
		return true
	}
	return slices.ContainsFunc(x.grants[r.to.Namespace], func(g *gwv1.ReferenceGrant) bool {
		from := slices.ContainsFunc(g.Spec.From, func(f gwv1.ReferenceGrantFrom) bool {
			return string(f.Group) == r.fromGroup && string(f.Kind) == r.fromKind && string(f.Namespace) == r.fromNamespace
		})
		return from && slices.ContainsFunc(g.Spec.To, func(t gwv1.ReferenceGrantTo) bool {
			return string(t.Group) == r.group && string(t.Kind) == r.kind && (t.Name == nil || *t.Name == "" || string(*t.Name) == r.to.Name)
		})
	})
}

// or returns what p points to, or the default.
func or[T any](p *T, def T) T {
	if p == nil {
		return def
	}
	return *p
}

func ptr[T any](v T) *T { return &v }
