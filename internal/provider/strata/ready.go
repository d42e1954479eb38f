package strata

import (
	"context"
	"strings"
	"time"

	"github.com/hashicorp/terraform-plugin-framework/diag"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/stratahq/strata/internal/cluster"
)

// ready waits until an object is ready, and says why where it does not become so.
func (r *manifest) ready(ctx context.Context, c *cluster.Client, m manifestModel, obj *unstructured.Unstructured, limit time.Duration, diags *diag.Diagnostics) {
	if !m.Wait.ValueBool() {
		return
	}
	until := time.Now().Add(limit)
	hopelessFor := 0
	for {
		live, err := c.Get(ctx, obj)
		if err != nil {
			diags.AddError("Cannot read "+cluster.Name(obj), err.Error())
			return
		}
		if live == nil {
			diags.AddError(cluster.Name(obj)+" is gone", "Something deleted it as soon as it was made.")
			return
		}
		state := cluster.StateOf(live)
		if state.Ready {
			return
		}
		why, hopeless := c.Explain(ctx, live)
		if hopeless {
			hopelessFor++ // a pod of the version before may be what is hopeless
		} else {
			hopelessFor = 0
		}
		switch over := !time.Now().Before(until); {
		case state.Failed, hopelessFor > 5, over:
			text := strings.Join(append([]string{state.Reason}, why...), "\n")
			if over {
				text = "It was not within " + limit.String() + ". " + text
			}
			diags.AddError(cluster.Name(obj)+" is not ready", text)
			return
		}
		select {
		case <-ctx.Done():
			diags.AddError(cluster.Name(obj)+" is not ready", "Waiting for it was cut off: "+ctx.Err().Error())
			return
		case <-time.After(200 * time.Millisecond):
		}
	}
}
