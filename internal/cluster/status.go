package cluster

import (
	"bufio"
	"context"
	"fmt"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/fields"
	"sigs.k8s.io/cli-utils/pkg/kstatus/status"
)

// State is how an object is.
type State struct {
	// Ready says that it does what it is for; Failed that it never will by itself.
	Ready, Failed bool
	// Reason says in a line what is missing; empty when it is ready.
	Reason string
}

// StateOf says how an object is, by the rules of kstatus
// (https://github.com/kubernetes-sigs/cli-utils/tree/master/pkg/kstatus). It looks at
// nothing but the object.
func StateOf(obj *unstructured.Unstructured) State {
	switch obj.GetKind() {
	case "Gateway":
		return gatewayState(obj)
	case "Deployment", "StatefulSet", "DaemonSet", "Job", "Pod", "PersistentVolumeClaim", "Namespace", "CustomResourceDefinition", "APIService", "ReplicaSet":
	default:
		// Others are ready when they are there. Routes and autoscalers have conditions,
		// but what they wait for is applied after them.
		return State{Ready: true}
	}
	r, err := status.Compute(obj)
	if err != nil {
		return State{Reason: err.Error()}
	}
	s := State{Ready: r.Status == status.CurrentStatus, Failed: r.Status == status.FailedStatus, Reason: r.Message}
	if obj.GetKind() == "PersistentVolumeClaim" && !s.Ready {
		// One that waits for its first pod is as ready as it can be.
		s.Ready = true
	}
	if s.Ready {
		s.Reason = ""
	}
	return s
}

// gatewayState says how a Gateway of the Gateway API is: ready when its controller says
// that it serves, and failed when that does not take it.
func gatewayState(obj *unstructured.Unstructured) State {
	conditions, _, _ := unstructured.NestedSlice(obj.Object, "status", "conditions")
	s := State{Reason: "no controller has looked at it yet"}
	for _, one := range conditions {
		c, _ := one.(map[string]any)
		if seen, _, _ := unstructured.NestedInt64(c, "observedGeneration"); seen < obj.GetGeneration() {
			continue
		}
		message, _, _ := unstructured.NestedString(c, "message")
		switch {
		case c["type"] == "Accepted" && c["status"] == "False":
			return State{Failed: true, Reason: message}
		case c["type"] == "Programmed" && c["status"] == "True":
			return State{Ready: true}
		case c["type"] == "Programmed" && message != "":
			s.Reason = message
		}
	}
	return s
}

// Explain says why the pods that belong to a workload are not ready, as a person
// would: what is wrong, with the last lines of the log where there is one. It returns
// nothing where the pods tell nothing. The second result says that waiting is in vain.
func (c *Client) Explain(ctx context.Context, obj *unstructured.Unstructured) (why []string, hopeless bool) {
	selector, _, _ := unstructured.NestedStringMap(obj.Object, "spec", "selector", "matchLabels")
	if len(selector) == 0 {
		return nil, false
	}
	pods, err := c.Typed.CoreV1().Pods(obj.GetNamespace()).List(ctx, metav1.ListOptions{LabelSelector: metav1.FormatLabelSelector(&metav1.LabelSelector{MatchLabels: selector})})
	if err != nil {
		return nil, false
	}
	if len(pods.Items) == 0 {
		return c.refused(ctx, obj), false
	}
	seen := map[string]bool{}
	for i := range pods.Items {
		p := &pods.Items[i]
		if p.DeletionTimestamp != nil {
			continue
		}
		reason, final := Trouble(p)
		if reason == preparing {
			reason = c.hindered(ctx, p)
		}
		if reason == "" || seen[reason] {
			continue
		}
		seen[reason] = true
		hopeless = hopeless || final
		why = append(why, "pod "+p.Name+": "+reason)
		if name, previous, ok := spoke(p); ok {
			for _, line := range c.tail(ctx, p, name, previous, 5) {
				why = append(why, "  "+name+": "+line)
			}
		}
	}
	return why, hopeless
}

// refused says why the API server does not let a workload have pods: a quota that is used
// up, or a rule that they break.
func (c *Client) refused(ctx context.Context, obj *unstructured.Unstructured) []string {
	conditions, _, _ := unstructured.NestedSlice(obj.Object, "status", "conditions")
	for _, one := range conditions {
		m, _ := one.(map[string]any)
		if m["type"] == "ReplicaFailure" && m["status"] == "True" {
			message, _, _ := unstructured.NestedString(m, "message")
			return []string{"its pods are refused: " + oneLine(message)}
		}
	}
	// Others than Deployments say it in events alone.
	events, err := c.Typed.CoreV1().Events(obj.GetNamespace()).List(ctx, metav1.ListOptions{FieldSelector: fields.Set{
		"involvedObject.uid": string(obj.GetUID()), "reason": "FailedCreate",
	}.String()})
	if err != nil || len(events.Items) == 0 {
		return nil
	}
	last := events.Items[0]
	for _, e := range events.Items {
		if e.LastTimestamp.After(last.LastTimestamp.Time) {
			last = e
		}
	}
	return []string{"its pods are refused: " + oneLine(last.Message)}
}

// hindered says why a pod does not get as far as its containers: a volume that cannot be
// mounted, a sandbox that cannot be made. Events alone have it.
func (c *Client) hindered(ctx context.Context, p *corev1.Pod) string {
	events, err := c.Typed.CoreV1().Events(p.Namespace).List(ctx, metav1.ListOptions{FieldSelector: fields.Set{
		"involvedObject.uid": string(p.UID), "type": corev1.EventTypeWarning,
	}.String()})
	if err != nil || len(events.Items) == 0 {
		return preparing
	}
	last := slices.MaxFunc(events.Items, func(a, b corev1.Event) int { return a.LastTimestamp.Compare(b.LastTimestamp.Time) })
	return "it cannot be prepared: " + oneLine(last.Message)
}

// spoke returns the container of a pod whose log is worth reading, and whether it is
// that of its last life.
func spoke(p *corev1.Pod) (name string, previous, ok bool) {
	for _, s := range append(append([]corev1.ContainerStatus{}, p.Status.InitContainerStatuses...), p.Status.ContainerStatuses...) {
		switch {
		case s.State.Terminated != nil && s.State.Terminated.ExitCode != 0:
			return s.Name, false, true
		case s.LastTerminationState.Terminated != nil && !s.Ready:
			return s.Name, s.State.Running == nil, true
		case s.State.Running != nil && !s.Ready:
			return s.Name, false, true
		}
	}
	return "", false, false
}

// hopelessRestarts is after how many restarts, which take some three minutes with the
// kubelet's growing breaks, a container is not thought to wait for something that comes.
const hopelessRestarts = 5

// preparing is what Trouble says of a pod that has not got as far as its containers.
const preparing = "it is being prepared: its images and volumes are fetched"

// Trouble says in a few words what keeps a pod from being ready; empty when nothing
// is known. The second result says that it will not get better by itself.
func Trouble(p *corev1.Pod) (string, bool) {
	for _, cond := range p.Status.Conditions {
		if cond.Type == corev1.PodScheduled && cond.Status == corev1.ConditionFalse {
			return "no node fits: " + cond.Message, false
		}
	}
	for _, s := range append(append([]corev1.ContainerStatus{}, p.Status.InitContainerStatuses...), p.Status.ContainerStatuses...) {
		if w := s.State.Waiting; w != nil {
			switch w.Reason {
			case "ErrImageNeverPull", "InvalidImageName":
				return fmt.Sprintf("the image %s cannot be used: %s", s.Image, w.Message), true
			case "ImagePullBackOff", "ErrImagePull":
				return fmt.Sprintf("the image %s cannot be pulled: %s", s.Image, oneLine(w.Message)), false
			case "CreateContainerConfigError", "CreateContainerError", "RunContainerError":
				return fmt.Sprintf("container %s cannot start: %s", s.Name, oneLine(w.Message)), false
			case "CrashLoopBackOff":
				if t := s.LastTerminationState.Terminated; t != nil {
					return fmt.Sprintf("container %s ends again and again: %s, %d restarts", s.Name, exit(t), s.RestartCount), s.RestartCount >= hopelessRestarts
				}
				return fmt.Sprintf("container %s ends again and again", s.Name), false
			}
		}
		if t := s.State.Terminated; t != nil && t.ExitCode != 0 {
			return fmt.Sprintf("container %s ended: %s", s.Name, exit(t)), false
		}
		if s.State.Running != nil && !s.Ready {
			return fmt.Sprintf("container %s runs, but its readiness probe does not succeed", s.Name), false
		}
	}
	if p.Status.Phase == corev1.PodPending {
		return preparing, false
	}
	return "", false
}

func exit(t *corev1.ContainerStateTerminated) string {
	switch {
	case t.Reason == "OOMKilled":
		return "it used more memory than its limit"
	case t.Message != "":
		return fmt.Sprintf("exit code %d, %s", t.ExitCode, oneLine(t.Message))
	}
	return fmt.Sprintf("exit code %d", t.ExitCode)
}

func oneLine(s string) string {
	s = strings.Join(strings.Fields(s), " ")
	if len(s) > 300 {
		s = s[:300] + "…"
	}
	return s
}

// tail returns the last lines of a container's log; none where there is no log.
func (c *Client) tail(ctx context.Context, p *corev1.Pod, container string, previous bool, lines int64) []string {
	r, err := c.Typed.CoreV1().Pods(p.Namespace).GetLogs(p.Name, &corev1.PodLogOptions{Container: container, Previous: previous, TailLines: &lines}).Stream(ctx)
	if err != nil {
		return nil
	}
	defer r.Close()
	var out []string
	for s := bufio.NewScanner(r); s.Scan(); {
		out = append(out, oneLine(s.Text()))
	}
	return out
}
