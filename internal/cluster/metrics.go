package cluster

import (
	"context"
	"encoding/json"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/resource"
)

// Usage is what something uses.
type Usage struct {
	// CPU is in thousandths of a core, Memory in bytes.
	CPU, Memory int64
}

// Add adds what something else uses.
func (u *Usage) Add(v Usage) {
	u.CPU += v.CPU
	u.Memory += v.Memory
}

// PodUsage returns what each pod of the cluster uses, by NAMESPACE/NAME. A pod that was
// just started is not among them.
func (c *Client) PodUsage(ctx context.Context) (map[string]Usage, error) {
	b, err := c.Typed.CoreV1().RESTClient().Get().AbsPath("/apis/metrics.k8s.io/v1beta1/pods").Do(ctx).Raw()
	if apierrors.IsNotFound(err) || apierrors.IsServiceUnavailable(err) {
		return nil, fmt.Errorf("the cluster does not measure what pods use (metrics.k8s.io): a node that was just started begins after half a minute, other clusters need metrics-server: %w", err)
	}
	if err != nil {
		return nil, fmt.Errorf("ask what pods use: %w", err)
	}
	var list struct {
		Items []struct {
			Metadata   struct{ Name, Namespace string }
			Containers []struct {
				Usage struct{ CPU, Memory resource.Quantity }
			}
		}
	}
	if err := json.Unmarshal(b, &list); err != nil {
		return nil, fmt.Errorf("ask what pods use: %w", err)
	}
	out := make(map[string]Usage, len(list.Items))
	for _, p := range list.Items {
		var u Usage
		for _, k := range p.Containers {
			u.Add(Usage{k.Usage.CPU.MilliValue(), k.Usage.Memory.Value()})
		}
		out[p.Metadata.Namespace+"/"+p.Metadata.Name] = u
	}
	return out, nil
}

// Requests and Limits are what the containers of a pod request together, and may use at
// most; a container without a limit counts as 0.
func Requests(p *corev1.Pod) Usage {
	return total(p, func(r corev1.ResourceRequirements) corev1.ResourceList { return r.Requests })
}

// Limits is described at Requests.
func Limits(p *corev1.Pod) Usage {
	return total(p, func(r corev1.ResourceRequirements) corev1.ResourceList { return r.Limits })
}

func total(p *corev1.Pod, of func(corev1.ResourceRequirements) corev1.ResourceList) Usage {
	var u Usage
	add := func(c corev1.Container) {
		list := of(c.Resources)
		u.Add(Usage{list.Cpu().MilliValue(), list.Memory().Value()})
	}
	for _, c := range p.Spec.Containers {
		add(c)
	}
	for _, c := range p.Spec.InitContainers {
		// Sidecars run beside the others.
		if c.RestartPolicy != nil && *c.RestartPolicy == corev1.ContainerRestartPolicyAlways {
			add(c)
		}
	}
	return u
}
