package node

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"time"
)

// CNI is the plugin that runs after a pod got its address, as the Container Network
// Interface specification 0.4 says: it tells the agent, and returns when the pod's
// network policies hold. in is the network's configuration, out takes the result;
// getenv reads the call's variables (CNI_COMMAND, CNI_ARGS).
func CNI(dir string, in io.Reader, out io.Writer, getenv func(string) string) error {
	err := cni(Config{Dir: dir}, in, out, getenv)
	if err == nil {
		return nil
	}
	b, _ := json.Marshal(map[string]any{"cniVersion": "0.4.0", "code": 11, "msg": err.Error()})
	_, werr := out.Write(append(b, '\n'))
	return errors.Join(err, werr)
}

func cni(c Config, in io.Reader, out io.Writer, getenv func(string) string) error {
	command := getenv("CNI_COMMAND")
	if command == "VERSION" {
		_, err := io.WriteString(out, `{"cniVersion":"0.4.0","supportedVersions":["0.3.1","0.4.0"]}`+"\n")
		return err
	}
	b, err := io.ReadAll(io.LimitReader(in, 1<<20))
	if err != nil {
		return err
	}
	var conf struct {
		Prev json.RawMessage `json:"prevResult"`
	}
	if err := json.Unmarshal(b, &conf); err != nil {
		return err
	}
	args := map[string]string{}
	for _, pair := range strings.Split(getenv("CNI_ARGS"), ";") {
		if k, v, ok := strings.Cut(pair, "="); ok {
			args[k] = v
		}
	}
	a := announcement{ID: getenv("CNI_CONTAINERID"), Namespace: args["K8S_POD_NAMESPACE"], Name: args["K8S_POD_NAME"], UID: args["K8S_POD_UID"]}
	switch command {
	case "ADD":
		var prev struct {
			IPs []struct {
				Address string `json:"address"`
			} `json:"ips"`
		}
		if err := json.Unmarshal(conf.Prev, &prev); err != nil {
			return fmt.Errorf("the result of the plugin before: %w", err)
		}
		if len(prev.IPs) == 0 {
			return errors.New("the plugin before gave no address")
		}
		a.IP, _, _ = strings.Cut(prev.IPs[0].Address, "/")
		if err := announce(c, a); err != nil {
			return err
		}
		_, err := out.Write(conf.Prev)
		return err
	case "DEL":
		a.Gone = true
		// Deleting must work when everything else is gone already.
		_ = announce(c, a)
	}
	return nil
}

func announce(c Config, a announcement) error {
	conn, err := net.DialTimeout("unix", c.policySocket(), 5*time.Second)
	if err != nil {
		return fmt.Errorf("the node's agent does not answer yet: %w", err)
	}
	defer conn.Close()
	if err := conn.SetDeadline(time.Now().Add(30 * time.Second)); err != nil {
		return err
	}
	if err := json.NewEncoder(conn).Encode(a); err != nil {
		return err
	}
	b, err := io.ReadAll(io.LimitReader(conn, 4096))
	if err != nil {
		return err
	}
	if answer := strings.TrimSpace(string(b)); answer != "ok" {
		return errors.New(answer)
	}
	return nil
}
