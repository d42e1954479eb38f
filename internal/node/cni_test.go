package node

import (
	"encoding/json"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// agent answers announcements with a word, and passes them on.
func fakeAgent(t *testing.T, c Config, answer string) <-chan announcement {
	t.Helper()
	if err := os.MkdirAll(c.path("run"), 0o700); err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("unix", c.policySocket())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	out := make(chan announcement, 1)
	go func() {
		defer close(out)
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			var a announcement
			if json.NewDecoder(conn).Decode(&a) == nil {
				out <- a
			}
			_, _ = conn.Write([]byte(answer + "\n"))
			conn.Close()
		}
	}()
	return out
}

func TestCNI(t *testing.T) {
	t.Parallel()
	const prev = `{"cniVersion": "0.4.0", "ips": [{"version": "4", "address": "10.244.0.7/24"}]}`
	const args = "IgnoreUnknown=1;K8S_POD_NAMESPACE=shop;K8S_POD_NAME=web-0;K8S_POD_UID=u1"
	pod := announcement{ID: "c1", Namespace: "shop", Name: "web-0", UID: "u1"}
	added, gone := pod, pod
	added.IP, gone.Gone = "10.244.0.7", true
	for name, tt := range map[string]struct {
		command, in, answer string // no answer: there is no agent
		out, err            string
		told                *announcement
	}{
		"version":              {command: "VERSION", out: `"supportedVersions":["0.3.1","0.4.0"]`},
		"add":                  {command: "ADD", in: `{"prevResult": ` + prev + `}`, answer: "ok", out: prev, told: &added},
		"add, refused":         {command: "ADD", in: `{"prevResult": ` + prev + `}`, answer: "nft: odd", out: `"msg":"nft: odd"`, err: "nft: odd", told: &added},
		"add without an agent": {command: "ADD", in: `{"prevResult": ` + prev + `}`, out: `"code":11`, err: "agent does not answer yet"},
		"add without address":  {command: "ADD", in: `{"prevResult": {"ips": []}}`, answer: "ok", out: `"code":11`, err: "gave no address"},
		"add, not JSON":        {command: "ADD", in: `{`, answer: "ok", out: `"code":11`, err: "unexpected end"},
		"delete":               {command: "DEL", in: `{}`, answer: "ok", told: &gone},
		"delete without agent": {command: "DEL", in: `{}`},
		"check":                {command: "CHECK", in: `{}`, answer: "ok"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir, err := os.MkdirTemp("", "cni")
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { os.RemoveAll(dir) })
			c := Config{Dir: filepath.Join(dir, "n")}
			var told <-chan announcement
			if tt.answer != "" {
				told = fakeAgent(t, c, tt.answer)
			}
			env := map[string]string{"CNI_COMMAND": tt.command, "CNI_ARGS": args, "CNI_CONTAINERID": "c1"}
			var out strings.Builder
			err = CNI(c.Dir, strings.NewReader(tt.in), &out, func(k string) string { return env[k] })
			if (err == nil) != (tt.err == "") || err != nil && !strings.Contains(err.Error(), tt.err) {
				t.Errorf("error %v, want %q", err, tt.err)
			}
			if !strings.Contains(out.String(), tt.out) {
				t.Errorf("output %q, want %q", out.String(), tt.out)
			}
			if tt.told != nil {
				if got := <-told; got != *tt.told {
					t.Errorf("told %+v, want %+v", got, *tt.told)
				}
			}
		})
	}
}
