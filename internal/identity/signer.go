package identity

import (
	"context"
	"crypto"
	"errors"
	"time"

	"github.com/spiffe/go-spiffe/v2/spiffeid"
	"golang.org/x/sync/errgroup"
	certsv1 "k8s.io/api/certificates/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	certinformers "k8s.io/client-go/informers/certificates/v1"
	"k8s.io/client-go/tools/cache"
	"k8s.io/client-go/util/workqueue"

	"github.com/stratahq/strata/internal/keypair"
	"github.com/stratahq/strata/internal/proxy/config"
)

// workers is how many requests are looked at at once.
const workers = 4

// retryMax bounds the time after which a request that failed is tried again.
const retryMax = 30 * time.Second

// Lead looks after the roots and answers requests for certificates until ctx ends. One
// replica at a time may run it.
func (a *Authority) Lead(ctx context.Context) error {
	a.issued.reset()
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error { return a.every(ctx, a.tend) })
	g.Go(func() error { return a.sign(ctx) })
	err := g.Wait()
	a.lastReport(ctx)
	return err
}

// lastReport writes what was counted since the last report, where that is possible.
func (a *Authority) lastReport(ctx context.Context) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 2*time.Second)
	defer cancel()
	a.turn.Lock()
	defer a.turn.Unlock()
	a.issued.written = time.Time{}
	if k := a.known.Load(); k != nil {
		if _, err := a.report(ctx, k.state); err != nil {
			a.log.Warn("what was issued in the last minute is not in the status", "error", err.Error())
		}
	}
}

// sign answers requests until ctx ends.
func (a *Authority) sign(ctx context.Context) error {
	queue := workqueue.NewTypedRateLimitingQueue(workqueue.NewTypedItemExponentialFailureRateLimiter[cache.ObjectName](100*time.Millisecond, retryMax))
	informer := certinformers.NewFilteredPodCertificateRequestInformer(a.client, metav1.NamespaceAll, 0, cache.Indexers{}, func(o *metav1.ListOptions) {
		o.FieldSelector = fields.OneTermEqualSelector("spec.signerName", config.Signer).String()
	})
	add := func(o any) {
		if r, ok := o.(*certsv1.PodCertificateRequest); ok && open(r) {
			queue.Add(cache.MetaObjectToName(r))
		}
	}
	if err := informer.SetTransform(slim); err != nil {
		return err
	}
	if _, err := informer.AddEventHandler(cache.ResourceEventHandlerFuncs{AddFunc: add, UpdateFunc: func(_, o any) { add(o) }}); err != nil {
		return err
	}
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error { informer.RunWithContext(ctx); return nil })
	g.Go(func() error { <-ctx.Done(); queue.ShutDown(); return nil })
	for range workers {
		g.Go(func() error {
			for {
				name, stop := queue.Get()
				if stop {
					return nil
				}
				a.handle(ctx, informer.GetStore(), queue, name)
			}
		})
	}
	return g.Wait()
}

// slim drops what nobody looks at: requests stay a quarter of an hour after they were
// answered, with their certificates.
func slim(o any) (any, error) {
	if r, ok := o.(*certsv1.PodCertificateRequest); ok {
		r.ManagedFields, r.OwnerReferences = nil, nil
		if !open(r) {
			r.Spec, r.Status.CertificateChain = certsv1.PodCertificateRequestSpec{SignerName: r.Spec.SignerName}, ""
		}
	}
	return o, nil
}

// open reports whether a request is for this signer and has no answer yet.
func open(r *certsv1.PodCertificateRequest) bool {
	if r.Spec.SignerName != config.Signer || r.DeletionTimestamp != nil {
		return false
	}
	for _, c := range r.Status.Conditions {
		switch c.Type {
		case certsv1.PodCertificateRequestConditionTypeIssued, certsv1.PodCertificateRequestConditionTypeDenied, certsv1.PodCertificateRequestConditionTypeFailed:
			return false
		}
	}
	return true
}

// handle answers one request. What fails for now is tried again: an answer is for ever.
func (a *Authority) handle(ctx context.Context, store cache.Store, queue workqueue.TypedRateLimitingInterface[cache.ObjectName], name cache.ObjectName) {
	defer queue.Done(name)
	o, found, err := store.GetByKey(name.String())
	r, ok := o.(*certsv1.PodCertificateRequest)
	if err != nil || !found || !ok || !open(r) {
		queue.Forget(name)
		return
	}
	began := time.Now()
	bounded, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	err = a.answer(bounded, r.DeepCopy())
	a.metrics.seconds.Observe(time.Since(began).Seconds())
	switch {
	case err == nil || apierrors.IsNotFound(err) || ctx.Err() != nil:
		queue.Forget(name)
	case apierrors.IsConflict(err):
		// It was answered, or the store is behind: the next look tells.
		queue.AddRateLimited(name)
	default:
		a.metrics.requests.WithLabelValues("failed", "").Inc()
		a.log.Warn("a request for a certificate could not be answered; trying again", "request", name.String(), "error", err.Error())
		queue.AddRateLimited(name)
	}
}

// answer issues what a request is entitled to, or denies it.
func (a *Authority) answer(ctx context.Context, r *certsv1.PodCertificateRequest) error {
	public, err := key(r)
	if err == nil {
		id, entitled := a.entitled(ctx, r)
		if entitled == nil {
			return a.issue(ctx, r, id, public)
		}
		err = entitled
	}
	var no *denial
	if !errors.As(err, &no) {
		return err
	}
	conclude(r, certsv1.PodCertificateRequestConditionTypeDenied, no.reason, no.message, a.now())
	if _, err := a.client.CertificatesV1().PodCertificateRequests(r.Namespace).UpdateStatus(ctx, r, metav1.UpdateOptions{}); err != nil {
		return err
	}
	a.metrics.requests.WithLabelValues("denied", no.reason).Inc()
	a.log.Warn("a certificate was denied", "namespace", r.Namespace, "pod", r.Spec.PodName, "serviceAccount", r.Spec.ServiceAccountName, "node", string(r.Spec.NodeName), "request", r.Name, "reason", no.reason, "message", no.message)
	return nil
}

// issue signs a certificate and hands it out.
func (a *Authority) issue(ctx context.Context, r *certsv1.PodCertificateRequest, id spiffeid.ID, public crypto.PublicKey) error {
	by, err := a.signing()
	if err != nil {
		return err
	}
	life := min(a.options.CertificateLife, by.Longest)
	if r.Spec.MaxExpirationSeconds != nil {
		life = min(life, time.Duration(*r.Spec.MaxExpirationSeconds)*time.Second)
	}
	cert, err := issue(by.pair, id, public, a.now(), life)
	if err != nil {
		return err
	}
	r.Status.CertificateChain = keypair.CertPEM(cert)
	r.Status.NotBefore, r.Status.NotAfter = &metav1.Time{Time: cert.NotBefore}, &metav1.Time{Time: cert.NotAfter}
	r.Status.BeginRefreshAt = &metav1.Time{Time: a.options.refresh(cert)}
	serial := cert.SerialNumber.Text(16)
	conclude(r, certsv1.PodCertificateRequestConditionTypeIssued, "Entitled", "certificate "+serial+" for "+id.String(), a.now())
	if _, err := a.client.CertificatesV1().PodCertificateRequests(r.Namespace).UpdateStatus(ctx, r, metav1.UpdateOptions{}); err != nil {
		return err
	}
	a.issued.add(by.id(), cert.NotAfter)
	a.metrics.requests.WithLabelValues("issued", "").Inc()
	a.log.Info("a certificate was issued", "id", id.String(), "serial", serial, "namespace", r.Namespace, "pod", r.Spec.PodName, "podUID", string(r.Spec.PodUID), "node", string(r.Spec.NodeName), "root", by.id(), "notAfter", cert.NotAfter)
	a.events.Eventf(&corev1.ObjectReference{APIVersion: "v1", Kind: "Pod", Namespace: r.Namespace, Name: r.Spec.PodName, UID: r.Spec.PodUID},
		corev1.EventTypeNormal, "CertificateIssued", "certificate %s for %s, until %s", serial, id, cert.NotAfter.UTC().Format(time.RFC3339))
	return nil
}

// conclude gives a request its one condition.
func conclude(r *certsv1.PodCertificateRequest, kind, reason, message string, now time.Time) {
	r.Status.Conditions = append(r.Status.Conditions, metav1.Condition{
		Type: kind, Status: metav1.ConditionTrue, Reason: reason, Message: message, LastTransitionTime: metav1.NewTime(now),
	})
}
