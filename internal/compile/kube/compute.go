package kube

import (
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"

	"github.com/stratahq/strata/internal/model"
)

// Without requests a pod is the first to be killed and the scheduler places it
// blindly; without limits it can take a node down. So both are always set.
// Memory that is not said is little, so that whoever needs more says so. CPU
// limits only stop a runaway: they are several times the request.
const (
	memoryFactor = 2
	cpuFactor    = 4
)

var (
	defaultCPU    = resource.MustParse("100m")
	defaultMemory = resource.MustParse("128Mi")
	leastCPULimit = resource.MustParse("1")
)

// compute returns a container's requests and limits. A request that is not
// given is the limit, as in Kubernetes, or the default.
func (r *renderer) compute(c Container) corev1.ResourceRequirements {
	requests, limits := c.Resources.Requests, c.Resources.Limits
	if requests == nil {
		requests = &model.Compute{}
	}
	if limits == nil {
		limits = &model.Compute{}
	}
	cpu, cpuLimit := r.amounts(c.Name, "cpu", requests.CPU, limits.CPU, defaultCPU, cpuFactor)
	if limits.CPU == "" && cpuLimit.Cmp(leastCPULimit) < 0 {
		cpuLimit = leastCPULimit
	}
	memory, memoryLimit := r.amounts(c.Name, "memory", requests.Memory, limits.Memory, defaultMemory, memoryFactor)
	return corev1.ResourceRequirements{
		Requests: corev1.ResourceList{corev1.ResourceCPU: cpu, corev1.ResourceMemory: memory},
		Limits:   corev1.ResourceList{corev1.ResourceCPU: cpuLimit, corev1.ResourceMemory: memoryLimit},
	}
}

func (r *renderer) amounts(container, what, request, limit string, def resource.Quantity, factor int64) (req, lim resource.Quantity) {
	parse := func(s string, otherwise resource.Quantity) resource.Quantity {
		if s == "" {
			return otherwise
		}
		// Score writes a thousand bytes K, Kubernetes k.
		if cut, ok := strings.CutSuffix(s, "K"); ok {
			s = cut + "k"
		}
		q, err := resource.ParseQuantity(s)
		if err != nil {
			r.errorf("container %q: %s %q is not a quantity", container, what, s)
			return otherwise
		}
		if what == "memory" {
			q.RoundUp(0) // half a byte is a valid Score file
		}
		return q
	}
	if limit == "" {
		req = parse(request, def)
		return req, times(req, factor)
	}
	lim = parse(limit, def)
	req = parse(request, lim)
	if req.Cmp(lim) > 0 {
		r.errorf("container %q requests %s of %s, which is more than its limit %s", container, req.String(), what, lim.String())
	}
	return req, lim
}

// times returns n times q, without changing q.
func times(q resource.Quantity, n int64) resource.Quantity {
	out := q.DeepCopy()
	out.Mul(n)
	return out
}
