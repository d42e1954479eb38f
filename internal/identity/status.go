package identity

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes"

	"github.com/stratahq/strata/internal/keypair"
	"github.com/stratahq/strata/internal/proxy/config"
)

// Status is what people are told of the roots of a trust domain. It has no keys.
type Status struct {
	TrustDomain string `json:"trustDomain"`
	// Roots are the roots that pods trust, oldest first.
	Roots []RootStatus `json:"roots"`
	// Rotation is when the root that signs is replaced by itself.
	Rotation time.Time `json:"rotation,omitzero"`
	// Handled is the last request for a rotation that was answered.
	Handled string `json:"handled,omitempty"`
}

// RootStatus is one root.
type RootStatus struct {
	ID        string    `json:"id"`
	Phase     Phase     `json:"phase"`
	NotBefore time.Time `json:"notBefore"`
	NotAfter  time.Time `json:"notAfter"`
	// Published is since when pods are told to trust it.
	Published time.Time `json:"published,omitzero"`
	// Signs is when a root that is published begins to sign.
	Signs time.Time `json:"signs,omitzero"`
	// Withdrawn is when a root that retires is trusted no more.
	Withdrawn time.Time `json:"withdrawn,omitzero"`
	// Issued is how many certificates it has signed for pods. A leader that was killed
	// may have kept a minute's to itself.
	Issued uint64 `json:"issued"`
	// LastExpiry is when the last of them ends.
	LastExpiry time.Time `json:"lastExpiry,omitzero"`
}

// ErrNoStatus says that no signer has ever run in the cluster.
var ErrNoStatus = errors.New("the cluster has no status of identities: no strata-control has run in it yet")

// ReadStatus reads what the signer has last said. The error is ErrNoStatus where none has.
func ReadStatus(ctx context.Context, c kubernetes.Interface) (*Status, error) {
	m, err := c.CoreV1().ConfigMaps(config.ControlNamespace).Get(ctx, config.IdentityStatus, metav1.GetOptions{})
	if apierrors.IsNotFound(err) {
		return nil, ErrNoStatus
	}
	if err != nil {
		return nil, fmt.Errorf("read the status of identities: %w", err)
	}
	var s Status
	if err := json.Unmarshal([]byte(m.Data[config.IdentityStatusKey]), &s); err != nil {
		return nil, fmt.Errorf("the status of identities cannot be read: %w", err)
	}
	return &s, nil
}

// Trusted returns the roots that pods are told to trust, by RootStatus.ID.
func Trusted(ctx context.Context, c kubernetes.Interface) ([]string, error) {
	_, certs, err := readBundle(ctx, c)
	out := make([]string, len(certs))
	for i, x := range certs {
		out[i] = keypair.Fingerprint(x)
	}
	return out, err
}

// RequestRotation asks the signer for a new root. The request is any text that differs
// from the last one. The error is ErrNoStatus where no signer has run.
func RequestRotation(ctx context.Context, c kubernetes.Interface, request string) error {
	return annotate(ctx, c, config.RotateAnnotation, request)
}

// RequestWithdrawal asks the signer that nobody trusts a root any more, given by its ID,
// though certificates of it may still hold. It does so once, for a root that retires. The
// request is any text that differs from the last one. The error is ErrNoStatus where no
// signer has run.
func RequestWithdrawal(ctx context.Context, c kubernetes.Interface, root, request string) error {
	return annotate(ctx, c, config.WithdrawAnnotation, root+" "+request)
}

func annotate(ctx context.Context, c kubernetes.Interface, name, value string) error {
	patch, err := json.Marshal(map[string]any{"metadata": map[string]any{"annotations": map[string]string{name: value}}})
	if err != nil {
		return err
	}
	_, err = c.CoreV1().ConfigMaps(config.ControlNamespace).Patch(ctx, config.IdentityStatus, types.MergePatchType, patch, metav1.PatchOptions{})
	if apierrors.IsNotFound(err) {
		return ErrNoStatus
	}
	if err != nil {
		return fmt.Errorf("ask the signer: %w", err)
	}
	return nil
}

// counts are how many certificates each root has signed. They are for people: nothing is
// decided by them.
type counts struct {
	mu     sync.Mutex
	byRoot map[string]count
	// taken says that what earlier leaders had counted is in byRoot.
	taken   bool
	written time.Time
}

type count struct {
	issued uint64
	last   time.Time
}

// countsInterval is how often counts alone are worth a write.
const countsInterval = time.Minute

func (c *counts) add(root string, until time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.byRoot == nil {
		c.byRoot = map[string]count{}
	}
	n := c.byRoot[root]
	n.issued++
	if until.After(n.last) {
		n.last = until
	}
	c.byRoot[root] = n
}

func (c *counts) of(root string) (uint64, time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.byRoot[root].issued, c.byRoot[root].last
}

// reset forgets everything: another leader counts.
func (c *counts) reset() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.byRoot, c.taken = nil, false
}

// take adds what earlier leaders have counted, once.
func (c *counts) take(s *Status) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.taken || s == nil {
		c.taken = true
		return
	}
	c.taken = true
	if c.byRoot == nil {
		c.byRoot = map[string]count{}
	}
	for _, r := range s.Roots {
		n := c.byRoot[r.ID]
		n.issued += r.Issued
		if r.LastExpiry.After(n.last) {
			n.last = r.LastExpiry
		}
		c.byRoot[r.ID] = n
	}
}

// status is what people are told of a state.
func (a *Authority) status(s *state) *Status {
	out := &Status{TrustDomain: s.TrustDomain, Handled: s.Handled, Roots: []RootStatus{}}
	for i := range s.Roots {
		r := &s.Roots[i]
		x := RootStatus{ID: r.id(), Phase: r.Phase, NotBefore: r.pair.Cert.NotBefore, NotAfter: r.pair.Cert.NotAfter, Published: r.Published, Withdrawn: r.Withdraw}
		x.Issued, x.LastExpiry = a.issued.of(r.id())
		switch {
		case r.Phase == PhaseSigning:
			out.Rotation = a.options.rotation(r.pair.Cert)
		case r.Phase == PhasePublished && !r.Published.IsZero():
			x.Signs = r.Published.Add(a.options.Overlap)
		}
		out.Roots = append(out.Roots, x)
	}
	return out
}

// report writes the status, unless it says so already or only counts have changed within
// a minute, and returns what people have left there.
func (a *Authority) report(ctx context.Context, s *state) (people asked, err error) {
	maps := a.client.CoreV1().ConfigMaps(config.ControlNamespace)
	have, err := maps.Get(ctx, config.IdentityStatus, metav1.GetOptions{})
	if apierrors.IsNotFound(err) {
		have, err = nil, nil
	}
	if err != nil {
		return asked{}, fmt.Errorf("read the status of identities: %w", err)
	}
	var old *Status
	if have != nil {
		people = asked{rotate: have.Annotations[config.RotateAnnotation], withdraw: have.Annotations[config.WithdrawAnnotation]}
		var there Status
		if json.Unmarshal([]byte(have.Data[config.IdentityStatusKey]), &there) == nil {
			old = &there
		}
	}
	a.issued.take(old)
	status := a.status(s)
	if old != nil && same(old, status) && a.now().Sub(a.issued.written) < countsInterval {
		return people, nil
	}
	b, err := json.MarshalIndent(status, "", "  ")
	if err != nil {
		return asked{}, err
	}
	data := map[string]string{config.IdentityStatusKey: string(b) + "\n"}
	switch {
	case have == nil:
		_, err = maps.Create(ctx, &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: config.IdentityStatus, Labels: labels}, Data: data}, metav1.CreateOptions{})
	case have.Data[config.IdentityStatusKey] != data[config.IdentityStatusKey]:
		have = have.DeepCopy()
		have.Data = data
		_, err = maps.Update(ctx, have, metav1.UpdateOptions{})
	}
	if err != nil {
		return asked{}, fmt.Errorf("write the status of identities: %w", err)
	}
	a.issued.written = a.now()
	return people, nil
}

// same reports whether two differ in counts at most.
func same(a, b *Status) bool {
	bare := func(s *Status) string {
		c := *s
		c.Roots = nil
		for _, r := range s.Roots {
			r.Issued, r.LastExpiry = 0, time.Time{}
			c.Roots = append(c.Roots, r)
		}
		text, err := json.Marshal(c)
		if err != nil {
			return err.Error()
		}
		return string(text)
	}
	return bare(a) == bare(b)
}
