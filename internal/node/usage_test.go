package node

import (
	"os"
	"testing"
	"time"
)

func TestComponentOf(t *testing.T) {
	for want, args := range map[string][]string{
		"kubelet":    {"/opt/bin/strata-kube", "kubelet", "--config=x"},
		"keeper":     {"/opt/bin/strata", "node", "run", "--dir", "/x"},
		"init":       {"/opt/bin/strata", "node", "init", "--dir", "/x"},
		"containerd": {"/usr/bin/containerd", "--config", "x"},
		"shim":       {"/usr/bin/containerd-shim-runc-v2", "-namespace", "k8s.io"},
		"pause":      {"/pause"},
	} {
		if got := componentOf(args); got != want {
			t.Errorf("%q is %q, want %q", args, got, want)
		}
	}
}

func TestSizes(t *testing.T) {
	pss, rss := sizes("7ffe-7fff ---p 00000000 00:00 0 [rollup]\nRss:                5000 kB\nPss:                1234 kB\nPss_Dirty:           900 kB\n")
	if pss != 1234<<10 || rss != 5000<<10 {
		t.Errorf("%d and %d", pss, rss)
	}
}

// TestProcess reads this very process, whose memory and time are not nothing.
func TestProcess(t *testing.T) {
	for began := time.Now(); time.Since(began) < 50*time.Millisecond; {
		continue // on a processor
	}
	p, err := process(os.Getpid())
	if err != nil {
		t.Fatal(err)
	}
	if p.PSS <= 0 || p.RSS < p.PSS || p.CPU <= 0 {
		t.Errorf("%+v", p)
	}
	s, err := readStat(os.Getpid())
	if err != nil || s.parent != os.Getppid() {
		t.Errorf("%+v, %v; the parent is %d", s, err, os.Getppid())
	}
}

func TestPodGroup(t *testing.T) {
	for line, want := range map[string]string{
		"4:memory:/strata-acme-local/burstable/pod0f1e2d3c-0000-4000-8000-0123456789ab/4dfe\n": "0f1e2d3c-0000-4000-8000-0123456789ab",
		"0::/kubepods.slice/kubepods-pod0f1e2d3c_0000_4000_8000_0123456789ab.slice/cri\n":      "0f1e2d3c_0000_4000_8000_0123456789ab",
		"0::/user.slice/podman\n": "",
	} {
		got := ""
		if m := podGroup.FindStringSubmatch(line); m != nil {
			got = m[1]
		}
		if got != want {
			t.Errorf("%q: %q, want %q", line, got, want)
		}
	}
}
