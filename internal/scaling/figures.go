package scaling

import (
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"
)

// figures are what was read, and answer what autoscalers ask. A figure that is not known
// is an error: an autoscaler then leaves the replicas as they are, whereas it would take
// nothing for too little.
type figures struct {
	mu       sync.Mutex
	counters map[workload]map[types.UID]*counter
	queues   map[string]depths // by broker
}

// depths are how many messages a broker has in each queue.
type depths struct {
	at    time.Time
	queue map[string]float64
}

// keep forgets what no autoscaler asks for any more.
func (f *figures) keep(a asked) {
	f.mu.Lock()
	defer f.mu.Unlock()
	maps.DeleteFunc(f.counters, func(w workload, _ map[types.UID]*counter) bool { return !a.workloads[w] })
	maps.DeleteFunc(f.queues, func(broker string, _ depths) bool {
		for q := range a.queues {
			if q.broker == broker {
				return false
			}
		}
		return true
	})
}

// alive forgets pods that are no more.
func (f *figures) alive(w workload, pods []*corev1.Pod) {
	f.mu.Lock()
	defer f.mu.Unlock()
	have := f.counters[w]
	if have == nil {
		have = map[types.UID]*counter{}
		if f.counters == nil {
			f.counters = map[workload]map[types.UID]*counter{}
		}
		f.counters[w] = have
	}
	maps.DeleteFunc(have, func(uid types.UID, _ *counter) bool {
		return !slices.ContainsFunc(pods, func(p *corev1.Pod) bool { return p.UID == uid && running(p) })
	})
	for _, p := range pods {
		if running(p) && have[p.UID] == nil {
			have[p.UID] = &counter{}
		}
	}
}

// request takes what a pod's counter says.
func (f *figures) request(w workload, p *corev1.Pod, at time.Time, n float64) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if c := f.counters[w][p.UID]; c != nil {
		c.add(at, n)
	}
}

// depths takes how many messages a broker has.
func (f *figures) depths(broker string, at time.Time, queue map[string]float64) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.queues == nil {
		f.queues = map[string]depths{}
	}
	f.queues[broker] = depths{at, queue}
}

// rate is how many requests per second a workload's pods get together. Pods that are new
// or do not answer count as much as the others do, as long as those are half at least.
func (f *figures) rate(w workload, now time.Time) (float64, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	pods := f.counters[w]
	sum, known := 0.0, 0
	for _, c := range pods {
		if r, ok := c.rate(now); ok {
			sum += r
			known++
		}
	}
	if known == 0 || 2*known < len(pods) {
		return 0, fmt.Errorf("%d of the %d pods of %s/%s have said how many requests they get", known, len(pods), w.namespace, w.name)
	}
	return sum * float64(len(pods)) / float64(known), nil
}

// depth is how many messages are in a queue. One that the broker does not know has none.
func (f *figures) depth(q queue, now time.Time) (float64, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	d, ok := f.queues[q.broker]
	if !ok || now.Sub(d.at) > window {
		return 0, fmt.Errorf("the broker %s has not said how many messages it has", q.broker)
	}
	return d.queue[q.name], nil
}
