package node

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"sync"
	"time"

	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/client-go/informers"
	corelisters "k8s.io/client-go/listers/core/v1"
	networkinglisters "k8s.io/client-go/listers/networking/v1"
	"k8s.io/client-go/tools/cache"
)

// policies enforces network policies. Pods make themselves known through the CNI
// plugin before their first packet, so that there is no moment in which a pod runs and
// its policies do not hold. Which pod has which address is known from there alone:
// what the API server says of addresses may be of yesterday.
type policies struct {
	c        Config
	pods     corelisters.PodLister
	spaces   corelisters.NamespaceLister
	policies networkinglisters.NetworkPolicyLister
	synced   []cache.InformerSynced
	changed  flag
	log      *slog.Logger

	mu sync.Mutex
	// sandboxes are the networks of pods, by the identifier that the runtime gives them.
	sandboxes map[string]sandbox
	last      string
}

// sandbox is a network namespace that the runtime made for a pod.
type sandbox struct {
	Namespace string     `json:"namespace"`
	Name      string     `json:"name"`
	UID       string     `json:"uid"`
	IP        netip.Addr `json:"ip"`
	Since     time.Time  `json:"since"`
}

func newPolicies(c Config, f informers.SharedInformerFactory, log *slog.Logger) *policies {
	p := &policies{
		c: c, log: log, changed: newFlag(), sandboxes: map[string]sandbox{},
		pods: f.Core().V1().Pods().Lister(), spaces: f.Core().V1().Namespaces().Lister(), policies: f.Networking().V1().NetworkPolicies().Lister(),
	}
	for _, i := range []cache.SharedIndexInformer{f.Core().V1().Pods().Informer(), f.Core().V1().Namespaces().Informer(), f.Networking().V1().NetworkPolicies().Informer()} {
		p.synced = append(p.synced, watch(i, p.changed))
	}
	return p
}

func (c Config) policySocket() string  { return c.path("run", "policy.sock") }
func (c Config) sandboxesFile() string { return c.path("run", "sandboxes.json") }

func (p *policies) run(ctx context.Context) error {
	if !cache.WaitForCacheSync(ctx.Done(), p.synced...) {
		return ctx.Err()
	}
	// Those of an agent before this one, whose pods run on.
	if b, err := os.ReadFile(p.c.sandboxesFile()); err == nil {
		if err := json.Unmarshal(b, &p.sandboxes); err != nil {
			return fmt.Errorf("%s: %w", p.c.sandboxesFile(), err)
		}
	} else if !errors.Is(err, os.ErrNotExist) {
		return err
	}
	if err := p.sync(); err != nil {
		return err
	}
	if err := os.Remove(p.c.policySocket()); err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	l, err := net.Listen("unix", p.c.policySocket())
	if err != nil {
		return err
	}
	defer l.Close()
	go p.answer(ctx, l)
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-p.changed:
		}
		if err := p.sync(); err != nil && ctx.Err() == nil {
			p.log.Error("network policies", "error", err)
			time.AfterFunc(time.Second, p.changed.set)
		}
	}
}

// sync brings the kernel's rules up to date.
func (p *policies) sync() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	var pods []podAt
	for id, s := range p.sandboxes {
		pod, err := p.pods.Pods(s.Namespace).Get(s.Name)
		switch {
		case err == nil && string(pod.UID) == s.UID:
			pods = append(pods, podAt{pod, s.IP})
		case time.Since(s.Since) > forgotten:
			delete(p.sandboxes, id)
		}
	}
	namespaces, err := p.spaces.List(labels.Everything())
	if err != nil {
		return err
	}
	spaces := map[string]labels.Set{}
	for _, n := range namespaces {
		spaces[n.Name] = n.Labels
	}
	nps, err := p.policies.List(labels.Everything())
	if err != nil {
		return err
	}
	script := ruleset(pods, spaces, append(nps[:0:0], nps...), p.c.Addr())
	if script == p.last {
		return nil
	}
	if err := nft(script); err != nil {
		return err
	}
	p.last = script
	return nil
}

// forgotten is how long a sandbox is remembered whose pod is gone and whose end the
// runtime did not tell.
const forgotten = 5 * time.Minute

// announcement is what the CNI plugin says of a sandbox.
type announcement struct {
	ID        string `json:"id"`
	Namespace string `json:"namespace"`
	Name      string `json:"name"`
	UID       string `json:"uid"`
	IP        string `json:"ip"`
	Gone      bool   `json:"gone,omitempty"`
}

// answer takes announcements: each connection brings one and gets "ok" when the rules
// are in force.
func (p *policies) answer(ctx context.Context, l net.Listener) {
	stop := context.AfterFunc(ctx, func() { l.Close() })
	defer stop()
	for {
		conn, err := l.Accept()
		if err != nil {
			return
		}
		go func() {
			defer conn.Close()
			_ = conn.SetDeadline(time.Now().Add(30 * time.Second))
			answer := "ok"
			if err := p.announced(ctx, conn); err != nil {
				answer = err.Error()
			}
			_, _ = io.WriteString(conn, answer+"\n")
		}()
	}
}

func (p *policies) announced(ctx context.Context, r io.Reader) error {
	var a announcement
	if err := json.NewDecoder(io.LimitReader(r, 4096)).Decode(&a); err != nil {
		return err
	}
	if a.Gone {
		defer p.changed.set()
		return p.remember(func() { delete(p.sandboxes, a.ID) })
	}
	ip, err := netip.ParseAddr(a.IP)
	if err != nil {
		return err
	}
	err = p.remember(func() {
		for id, s := range p.sandboxes {
			if s.IP == ip { // the end of the one that had it was not told
				delete(p.sandboxes, id)
			}
		}
		p.sandboxes[a.ID] = sandbox{Namespace: a.Namespace, Name: a.Name, UID: a.UID, IP: ip, Since: time.Now().UTC()}
	})
	if err != nil {
		return err
	}
	// kubelet knows of a pod a moment before the agent may.
	wait, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	if err := poll(wait, func() bool {
		pod, err := p.pods.Pods(a.Namespace).Get(a.Name)
		return err == nil && string(pod.UID) == a.UID
	}); err != nil {
		return fmt.Errorf("pod %s/%s is not known", a.Namespace, a.Name)
	}
	return p.sync()
}

// remember changes the sandboxes, for the next agent too.
func (p *policies) remember(change func()) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	change()
	b, err := json.Marshal(p.sandboxes)
	if err != nil {
		return err
	}
	return write(p.c.sandboxesFile(), b, 0o600)
}
