package cluster

import (
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

func parsed(t *testing.T, text string) *unstructured.Unstructured {
	t.Helper()
	o := &unstructured.Unstructured{}
	if err := o.UnmarshalJSON([]byte(text)); err != nil {
		t.Fatal(err)
	}
	return o
}

func pod(namespace, name string, old time.Duration, labels ...string) corev1.Pod {
	p := corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name, Labels: map[string]string{}, CreationTimestamp: metav1.NewTime(time.Unix(10000, 0).Add(-old))}}
	for _, l := range labels {
		k, v, _ := strings.Cut(l, "=")
		p.Labels[k] = v
	}
	return p
}

// TestJoin gives pods to what selects them, runs to their CronJob, and nothing to the
// neighbours.
func TestJoin(t *testing.T) {
	objs := []*unstructured.Unstructured{
		parsed(t, `{"apiVersion":"apps/v1","kind":"Deployment","metadata":{"name":"api","namespace":"a","uid":"1","annotations":{"strata.dev/unit":"local/workloads/api"}},
			"spec":{"selector":{"matchLabels":{"name":"api","tier":"web"}}}}`),
		parsed(t, `{"apiVersion":"batch/v1","kind":"CronJob","metadata":{"name":"report","namespace":"a","uid":"2","annotations":{"strata.dev/unit":"local/workloads/report"}},"spec":{"schedule":"0 3 * * *"}}`),
		parsed(t, `{"apiVersion":"batch/v1","kind":"Job","metadata":{"name":"report-1","namespace":"a","uid":"3","creationTimestamp":"2026-01-01T00:00:00Z","ownerReferences":[{"controller":true,"uid":"2","kind":"CronJob","name":"report","apiVersion":"batch/v1"}]},
			"spec":{"selector":{"matchLabels":{"job":"report-1"}}},"status":{"conditions":[{"type":"Complete","status":"True","lastTransitionTime":"2026-01-01T00:01:00Z"}]}}`),
		parsed(t, `{"apiVersion":"batch/v1","kind":"Job","metadata":{"name":"report-2","namespace":"a","uid":"4","creationTimestamp":"2026-01-02T00:00:00Z","ownerReferences":[{"controller":true,"uid":"2","kind":"CronJob","name":"report","apiVersion":"batch/v1"}]},
			"spec":{"selector":{"matchLabels":{"job":"report-2"}}},"status":{"active":1}}`),
		parsed(t, `{"apiVersion":"batch/v1","kind":"Job","metadata":{"name":"alone","namespace":"a","uid":"5","annotations":{"strata.dev/unit":"local/workloads/alone"}},"spec":{"selector":{"matchLabels":{"job":"alone"}}}}`),
	}
	pods := []corev1.Pod{
		pod("a", "api-new", time.Second, "name=api", "tier=web"), pod("a", "api-old", time.Hour, "name=api", "tier=web"), pod("a", "other", 0, "name=api", "tier=db"),
		pod("b", "elsewhere", 0, "name=api", "tier=web"), pod("a", "report-1-x", time.Minute, "job=report-1"), pod("a", "alone-x", 0, "job=alone"),
	}
	list, err := join(objs, pods)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, l := range list {
		names := []string{l.Unit}
		for _, p := range l.Pods {
			names = append(names, p.Name)
		}
		for _, j := range l.Jobs {
			names = append(names, "run:"+j.Name)
		}
		got = append(got, strings.Join(names, " "))
	}
	const want = "local/workloads/alone alone-x; local/workloads/api api-old api-new; local/workloads/report report-1-x run:report-2 run:report-1"
	if s := strings.Join(got, "; "); s != want {
		t.Errorf("got  %s\nwant %s", s, want)
	}
	report := list[2]
	if e, ok := report.LastRun(); !ok || e.Failed || e.At.Format(time.TimeOnly) != "00:01:00" || !report.State().Ready || report.Wanted() != 1 {
		t.Errorf("%+v, %v, %+v, %d wanted", e, ok, report.State(), report.Wanted())
	}
}

// TestCronJobIsAsItsLastRun wants a run that is under way to hide nothing.
func TestCronJobIsAsItsLastRun(t *testing.T) {
	cron := parsed(t, `{"apiVersion":"batch/v1","kind":"CronJob","metadata":{"name":"report","namespace":"a","uid":"2"}}`)
	failed := parsed(t, `{"apiVersion":"batch/v1","kind":"Job","metadata":{"name":"report-1","namespace":"a","creationTimestamp":"2026-01-01T00:00:00Z","ownerReferences":[{"controller":true,"uid":"2","kind":"CronJob","name":"report","apiVersion":"batch/v1"}]},
		"status":{"conditions":[{"type":"Failed","status":"True","message":"Job has reached the\nspecified backoff limit"}]}}`)
	running := parsed(t, `{"apiVersion":"batch/v1","kind":"Job","metadata":{"name":"report-2","namespace":"a","creationTimestamp":"2026-01-02T00:00:00Z","ownerReferences":[{"controller":true,"uid":"2","kind":"CronJob","name":"report","apiVersion":"batch/v1"}]}}`)
	list, err := join([]*unstructured.Unstructured{cron, failed, running}, nil)
	if err != nil || len(list) != 1 {
		t.Fatalf("%d, %v", len(list), err)
	}
	if s := list[0].State(); s.Ready || !s.Failed || s.Reason != "its last run failed: Job has reached the specified backoff limit" {
		t.Errorf("%+v", s)
	}
}

func TestBest(t *testing.T) {
	state := func(name string, phase corev1.PodPhase, ready, ending bool) *corev1.Pod {
		p := pod("a", name, 0)
		p.Status.Phase = phase
		if ready {
			p.Status.Conditions = []corev1.PodCondition{{Type: corev1.PodReady, Status: corev1.ConditionTrue}}
		}
		if ending {
			p.DeletionTimestamp = &metav1.Time{}
		}
		return &p
	}
	old, fresh := state("old", corev1.PodRunning, true, false), state("fresh", corev1.PodRunning, true, false)
	starting, ending, done := state("starting", corev1.PodRunning, false, false), state("ending", corev1.PodRunning, true, true), state("done", corev1.PodSucceeded, false, false)
	for want, pods := range map[string][]*corev1.Pod{
		"fresh": {old, fresh, starting, ending, done}, "starting": {starting, ending, done}, "old": {starting, old, done}, "": {ending, done},
	} {
		got := ""
		if p := Best(pods); p != nil {
			got = p.Name
		}
		if got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}

func TestEachLine(t *testing.T) {
	long := strings.Repeat("x", maxLine+5)
	var got []string
	if err := eachLine(strings.NewReader("a\r\n\nb\n"+long+"\nc"), func(s string) { got = append(got, s) }); err != nil {
		t.Fatal(err)
	}
	whole := strings.Join(got[3:len(got)-1], "")
	if len(got) < 6 || got[0] != "a" || got[1] != "" || got[2] != "b" || whole != long || got[len(got)-1] != "c" {
		t.Errorf("%d lines, %d bytes of the long one", len(got), len(whole))
	}
}

// TestSources lists containers that have said something, in this life or the last.
func TestSources(t *testing.T) {
	p := pod("a", "api", 0)
	dead := &corev1.ContainerStateTerminated{}
	p.Status.InitContainerStatuses = []corev1.ContainerStatus{{Name: "migrate", ContainerID: "1", State: corev1.ContainerState{Terminated: dead}}}
	p.Status.ContainerStatuses = []corev1.ContainerStatus{
		{Name: "main", ContainerID: "2", RestartCount: 1, State: corev1.ContainerState{Waiting: &corev1.ContainerStateWaiting{}}, LastTerminationState: corev1.ContainerState{Terminated: dead}},
		{Name: "slow", State: corev1.ContainerState{Waiting: &corev1.ContainerStateWaiting{}}},
	}
	var got []string
	for _, s := range (LogOptions{}).sources([]*corev1.Pod{&p}) {
		got = append(got, s.container)
	}
	if s := strings.Join(got, " "); s != "migrate main" {
		t.Error(s)
	}
	if one := (LogOptions{Container: "main"}).sources([]*corev1.Pod{&p}); len(one) != 1 || !one[0].restarted {
		t.Errorf("%+v", one)
	}
}
