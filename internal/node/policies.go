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
	"os/exec"
	"strings"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/client-go/informers"
	corelisters "k8s.io/client-go/listers/core/v1"
	networkinglisters "k8s.io/client-go/listers/networking/v1"
	"k8s.io/client-go/tools/cache"
)

// policies enforces network policies. Pods make themselves known through the CNI
// plugin before their first packet, so that there is no moment in which a pod runs and
// its policies do not hold.
type policies struct {
	c        Config
	pods     corelisters.PodLister
	spaces   corelisters.NamespaceLister
	policies networkinglisters.NetworkPolicyLister
	synced   []cache.InformerSynced
	changed  flag
	log      *slog.Logger

	mu sync.Mutex
	// early are addresses of pods that the API server does not know yet.
	early map[string]announced
	last  string
}

type announced struct {
	ip netip.Addr
	at time.Time
}

func newPolicies(c Config, f informers.SharedInformerFactory, log *slog.Logger) *policies {
	p := &policies{
		c: c, log: log, changed: newFlag(), early: map[string]announced{},
		pods: f.Core().V1().Pods().Lister(), spaces: f.Core().V1().Namespaces().Lister(), policies: f.Networking().V1().NetworkPolicies().Lister(),
	}
	for _, i := range []cache.SharedIndexInformer{f.Core().V1().Pods().Informer(), f.Core().V1().Namespaces().Informer(), f.Networking().V1().NetworkPolicies().Informer()} {
		p.synced = append(p.synced, watch(i, p.changed))
	}
	return p
}

func (p *policies) socket() string { return p.c.path("run", "policy.sock") }

func (p *policies) run(ctx context.Context) error {
	if !cache.WaitForCacheSync(ctx.Done(), p.synced...) {
		return ctx.Err()
	}
	if err := p.sync(ctx); err != nil {
		return err
	}
	if err := os.Remove(p.socket()); err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	l, err := net.Listen("unix", p.socket())
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
		if err := p.sync(ctx); err != nil && ctx.Err() == nil {
			p.log.Error("network policies", "error", err)
			time.AfterFunc(time.Second, p.changed.set)
		}
	}
}

// sync brings the kernel's rules up to date.
func (p *policies) sync(ctx context.Context) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	list, err := p.pods.List(labels.Everything())
	if err != nil {
		return err
	}
	byIP := map[netip.Addr]podAt{}
	for _, pod := range list {
		if pod.Spec.HostNetwork || pod.Status.Phase == corev1.PodSucceeded || pod.Status.Phase == corev1.PodFailed {
			continue
		}
		ip, err := netip.ParseAddr(pod.Status.PodIP)
		key := pod.Namespace + "/" + pod.Name
		if a, ok := p.early[key]; ok {
			if err == nil && ip == a.ip {
				delete(p.early, key)
			}
			ip, err = a.ip, nil
		}
		if err == nil {
			byIP[ip] = podAt{pod, ip}
		}
	}
	for key, a := range p.early {
		if time.Since(a.at) > 5*time.Minute {
			delete(p.early, key)
		}
	}
	pods := make([]podAt, 0, len(byIP))
	for _, at := range byIP {
		pods = append(pods, at)
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
	cmd := exec.CommandContext(ctx, "nft", "-f", "-")
	cmd.Stdin = strings.NewReader(script)
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("nft: %w: %s", err, strings.TrimSpace(string(out)))
	}
	p.last = script
	return nil
}

// announcement is what the CNI plugin says of a pod.
type announcement struct {
	Namespace string `json:"namespace"`
	Name      string `json:"name"`
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
	ip, err := netip.ParseAddr(a.IP)
	if err != nil && !a.Gone {
		return err
	}
	key := a.Namespace + "/" + a.Name
	p.mu.Lock()
	if a.Gone {
		delete(p.early, key)
		p.mu.Unlock()
		p.changed.set()
		return nil
	}
	p.early[key] = announced{ip, time.Now()}
	p.mu.Unlock()
	// kubelet knows of a pod a moment before the agent may.
	wait, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	if err := poll(wait, func() bool { _, err := p.pods.Pods(a.Namespace).Get(a.Name); return err == nil }); err != nil {
		return fmt.Errorf("pod %s is not known", key)
	}
	return p.sync(ctx)
}
