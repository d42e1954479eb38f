package cluster

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/stratahq/strata/internal/par"
)

// UnitAnnotation is on every object that Strata makes: the address of its unit.
const UnitAnnotation = "strata.dev/unit"

// Controller is an object that runs pods, with those that it has.
type Controller struct {
	Object *unstructured.Unstructured
	// Unit is the address of the object's unit; empty where Strata did not make it.
	Unit string
	// Pods are those that there are, the oldest first, those that ended included.
	Pods []*corev1.Pod
	// Jobs are the runs of a CronJob, the newest first.
	Jobs []*batchv1.Job
}

// controllers are the kinds that run pods.
var controllers = []schema.GroupVersionKind{
	{Group: "apps", Version: "v1", Kind: "Deployment"},
	{Group: "apps", Version: "v1", Kind: "StatefulSet"},
	{Group: "apps", Version: "v1", Kind: "DaemonSet"},
	{Group: "batch", Version: "v1", Kind: "CronJob"},
	{Group: "batch", Version: "v1", Kind: "Job"},
}

// Selector selects the objects of one environment of a platform by their labels.
func Selector(platform, env string) string {
	return labels.Set{"app.kubernetes.io/part-of": platform, "strata.dev/environment": env}.String()
}

// Controllers returns what runs pods among the objects that a selector of labels
// selects, sorted by unit and name. A Job of a CronJob is one of its runs and not
// listed by itself.
func (c *Client) Controllers(ctx context.Context, selector string) ([]*Controller, error) {
	lists := make([][]*unstructured.Unstructured, len(controllers))
	var pods *corev1.PodList
	err := par.Each(ctx, len(controllers)+1, func(i int) (err error) {
		if i == len(controllers) {
			// Pods of what modules made have labels of their own.
			pods, err = c.Typed.CoreV1().Pods("").List(ctx, metav1.ListOptions{})
			return err
		}
		lists[i], err = c.list(ctx, controllers[i], selector)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("list what runs: %w", err)
	}
	return join(slices.Concat(lists...), pods.Items)
}

// list returns the objects of a kind in all namespaces; none where the cluster does
// not know the kind.
func (c *Client) list(ctx context.Context, gvk schema.GroupVersionKind, selector string) ([]*unstructured.Unstructured, error) {
	m, err := c.mapping(gvk)
	if meta.IsNoMatchError(err) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	l, err := c.Dynamic.Resource(m.Resource).List(ctx, metav1.ListOptions{LabelSelector: selector})
	if err != nil {
		return nil, err
	}
	out := make([]*unstructured.Unstructured, len(l.Items))
	for i := range l.Items {
		out[i] = &l.Items[i]
	}
	return out, nil
}

func (c *Client) mapping(gvk schema.GroupVersionKind) (*meta.RESTMapping, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.mapper.RESTMapping(gvk.GroupKind(), gvk.Version)
}

// join gives each controller its pods and each CronJob its runs.
func join(objs []*unstructured.Unstructured, pods []corev1.Pod) ([]*Controller, error) {
	index := indexPods(pods)
	byUID := map[string]*Controller{}
	var out, jobs []*Controller
	for _, o := range objs {
		l := &Controller{Object: o, Unit: o.GetAnnotations()[UnitAnnotation], Pods: index.selected(o)}
		byUID[string(o.GetUID())] = l
		if o.GetKind() == "Job" {
			jobs = append(jobs, l)
		} else {
			out = append(out, l)
		}
	}
	for _, l := range jobs {
		owner := metav1.GetControllerOf(l.Object)
		if owner == nil || byUID[string(owner.UID)] == nil {
			out = append(out, l)
			continue
		}
		job := &batchv1.Job{}
		if err := runtime.DefaultUnstructuredConverter.FromUnstructured(l.Object.Object, job); err != nil {
			return nil, fmt.Errorf("%s: %w", Name(l.Object), err)
		}
		by := byUID[string(owner.UID)]
		by.Jobs = append(by.Jobs, job)
		by.Pods = append(by.Pods, l.Pods...)
	}
	for _, l := range out {
		slices.SortFunc(l.Pods, func(a, b *corev1.Pod) int {
			return cmp.Or(a.CreationTimestamp.Compare(b.CreationTimestamp.Time), strings.Compare(a.Name, b.Name))
		})
		slices.SortFunc(l.Jobs, func(a, b *batchv1.Job) int { return b.CreationTimestamp.Compare(a.CreationTimestamp.Time) })
	}
	slices.SortFunc(out, func(a, b *Controller) int {
		return cmp.Or(strings.Compare(a.Unit, b.Unit), strings.Compare(Name(a.Object), Name(b.Object)))
	})
	return out, nil
}

// podIndex finds pods by a label of theirs.
type podIndex map[string][]*corev1.Pod

func labelKey(namespace, key, value string) string { return namespace + "\n" + key + "\n" + value }

func indexPods(pods []corev1.Pod) podIndex {
	x := podIndex{}
	for i := range pods {
		p := &pods[i]
		for k, v := range p.Labels {
			key := labelKey(p.Namespace, k, v)
			x[key] = append(x[key], p)
		}
	}
	return x
}

// selected returns the pods that a controller's selector selects: none where it has
// none, as CronJobs have.
func (x podIndex) selected(o *unstructured.Unstructured) []*corev1.Pod {
	match, _, _ := unstructured.NestedStringMap(o.Object, "spec", "selector", "matchLabels")
	if len(match) == 0 {
		return nil
	}
	// The rarest label has the shortest list.
	var rarest []*corev1.Pod
	first := true
	for k, v := range match {
		list := x[labelKey(o.GetNamespace(), k, v)]
		if first || len(list) < len(rarest) {
			rarest, first = list, false
		}
	}
	want := labels.SelectorFromSet(match)
	return slices.DeleteFunc(slices.Clone(rarest), func(p *corev1.Pod) bool { return !want.Matches(labels.Set(p.Labels)) })
}

// Wanted is how many pods there should be at the moment.
func (l *Controller) Wanted() int {
	number := func(def int64, path ...string) int {
		n, ok, _ := unstructured.NestedInt64(l.Object.Object, path...)
		if !ok {
			n = def
		}
		return int(n)
	}
	switch l.Object.GetKind() {
	case "DaemonSet":
		return number(0, "status", "desiredNumberScheduled")
	case "CronJob":
		n := 0
		for _, j := range l.Jobs {
			n += int(j.Status.Active)
		}
		return n
	case "Job":
		return number(0, "status", "active")
	}
	return number(1, "spec", "replicas")
}

// Images are the images that the pods' containers are to have, by container.
func (l *Controller) Images() map[string]string {
	path := []string{"spec", "template", "spec"}
	if l.Object.GetKind() == "CronJob" {
		path = append([]string{"spec", "jobTemplate"}, path...)
	}
	out := map[string]string{}
	for _, field := range []string{"initContainers", "containers"} {
		list, _, _ := unstructured.NestedSlice(l.Object.Object, append(slices.Clone(path), field)...)
		for _, c := range list {
			m, _ := c.(map[string]any)
			name, _, _ := unstructured.NestedString(m, "name")
			out[name], _, _ = unstructured.NestedString(m, "image")
		}
	}
	return out
}

// Ready is how many pods are ready.
func (l *Controller) Ready() int {
	n := 0
	for _, p := range l.Pods {
		if PodReady(p) {
			n++
		}
	}
	return n
}

// PodReady reports whether a pod can do its work.
func PodReady(p *corev1.Pod) bool {
	if p.DeletionTimestamp != nil {
		return false
	}
	for _, c := range p.Status.Conditions {
		if c.Type == corev1.PodReady {
			return c.Status == corev1.ConditionTrue
		}
	}
	return false
}

// Restarts is how often containers of the pods were started again, and when that was
// for the last time.
func (l *Controller) Restarts() (n int, last time.Time) {
	for _, p := range l.Pods {
		for _, s := range slices.Concat(p.Status.InitContainerStatuses, p.Status.ContainerStatuses) {
			n += int(s.RestartCount)
			if t := s.LastTerminationState.Terminated; t != nil && s.RestartCount > 0 && t.FinishedAt.After(last) {
				last = t.FinishedAt.Time
			}
		}
	}
	return n, last
}

// State says how it is. A CronJob is as its last run that has ended.
func (l *Controller) State() State {
	if l.Object.GetKind() != "CronJob" {
		return StateOf(l.Object)
	}
	if e, ok := l.LastRun(); ok && e.Failed {
		return State{Failed: true, Reason: "its last run failed: " + e.Why}
	}
	return State{Ready: true}
}

// End is how a run ended.
type End struct {
	At     time.Time
	Failed bool
	// Why it failed.
	Why string
}

// LastRun says how the last run of a CronJob that has ended did so; false where none
// has.
func (l *Controller) LastRun() (End, bool) {
	for _, j := range l.Jobs {
		for _, c := range j.Status.Conditions {
			if c.Status != corev1.ConditionTrue {
				continue
			}
			switch c.Type {
			case batchv1.JobComplete:
				return End{At: c.LastTransitionTime.Time}, true
			case batchv1.JobFailed:
				return End{At: c.LastTransitionTime.Time, Failed: true, Why: oneLine(c.Message)}, true
			}
		}
	}
	return End{}, false
}

// Since is when the oldest of the pods that run was made; of what has none, when it was
// made itself.
func (l *Controller) Since() time.Time {
	for _, p := range l.Pods {
		if p.DeletionTimestamp == nil && p.Status.Phase != corev1.PodSucceeded && p.Status.Phase != corev1.PodFailed {
			return p.CreationTimestamp.Time
		}
	}
	return l.Object.GetCreationTimestamp().Time
}

// Refresh asks again which pods a controller has.
func (c *Client) Refresh(ctx context.Context, l *Controller) error {
	if l.Object.GetKind() != "CronJob" {
		var err error
		l.Pods, err = c.selectedPods(ctx, l.Object)
		return err
	}
	jobs, err := c.Typed.BatchV1().Jobs(l.Object.GetNamespace()).List(ctx, metav1.ListOptions{})
	if err != nil {
		return err
	}
	var objs []*unstructured.Unstructured
	for i := range jobs.Items {
		if owner := metav1.GetControllerOf(&jobs.Items[i]); owner == nil || owner.UID != l.Object.GetUID() {
			continue
		}
		m, err := runtime.DefaultUnstructuredConverter.ToUnstructured(&jobs.Items[i])
		if err != nil {
			return err
		}
		o := &unstructured.Unstructured{Object: m}
		o.SetGroupVersionKind(batchv1.SchemeGroupVersion.WithKind("Job"))
		objs = append(objs, o)
	}
	pods, err := c.Typed.CoreV1().Pods(l.Object.GetNamespace()).List(ctx, metav1.ListOptions{})
	if err != nil {
		return err
	}
	fresh, err := join(append(objs, l.Object), pods.Items)
	if err == nil {
		*l = *fresh[0]
	}
	return err
}

func (c *Client) selectedPods(ctx context.Context, o *unstructured.Unstructured) ([]*corev1.Pod, error) {
	match, _, _ := unstructured.NestedStringMap(o.Object, "spec", "selector", "matchLabels")
	if len(match) == 0 {
		return nil, nil
	}
	list, err := c.Typed.CoreV1().Pods(o.GetNamespace()).List(ctx, metav1.ListOptions{LabelSelector: labels.Set(match).String()})
	if err != nil {
		return nil, err
	}
	fresh, err := join([]*unstructured.Unstructured{o}, list.Items)
	if err != nil {
		return nil, err
	}
	return fresh[0].Pods, nil
}
