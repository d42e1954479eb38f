package e2e

import (
	"context"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
)

func copyTo(w io.Writer, r io.Reader) (int64, error) { return io.Copy(w, io.LimitReader(r, 1<<20)) }

// browser places an order as a person does, and waits to see it shipped. What the
// person sees is kept where keep says.
func browser(l *local, t *testing.T) {
	file, err := exec.LookPath("chromium")
	if err != nil {
		t.Fatal("there is no chromium: make deps installs it")
	}
	opts := append(chromedp.DefaultExecAllocatorOptions[:], chromedp.ExecPath(file), chromedp.NoSandbox, chromedp.DisableGPU,
		chromedp.Flag("disable-quic", true), chromedp.Flag("disable-component-update", true), chromedp.WindowSize(1280, 900))
	alloc, stop := chromedp.NewExecAllocator(t.Context(), opts...)
	defer stop()
	ctx, cancel := chromedp.NewContext(alloc)
	defer cancel()
	ctx, end := context.WithTimeout(ctx, 5*time.Minute)
	defer end()
	const buy, code, final = chromedp.CSS(`form.buy button`), chromedp.CSS(`#order-id`), chromedp.CSS(`[data-final]`)
	do := func(what string, steps ...chromedp.Action[chromedp.Void]) {
		t.Helper()
		if err := chromedp.Do(ctx, steps...); err != nil {
			keep(t, ctx, "failed.png")
			t.Fatalf("%s: %v", what, err)
		}
	}
	do("open the shop", chromedp.Navigate(l.routes["storefront.public"]), chromedp.WaitVisible(buy))
	keep(t, ctx, "shop.png")
	do("order", chromedp.Click(buy), chromedp.WaitVisible(code))
	id, err := chromedp.Run(ctx, chromedp.Text(code))
	if err != nil {
		t.Fatal(err)
	}
	// The page learns of it by itself.
	do("see the order shipped", chromedp.WaitVisible(final))
	status, err := chromedp.Run(ctx, chromedp.Text(final))
	if err != nil {
		t.Fatal(err)
	}
	keep(t, ctx, "order.png")
	t.Logf("order %s: %s", id, status)
}

// keep writes what the browser shows into the folder that STRATA_SCREENSHOTS names.
func keep(t *testing.T, ctx context.Context, name string) { //nolint:revive // the test comes first, as everywhere
	t.Helper()
	dir := os.Getenv("STRATA_SCREENSHOTS")
	if dir == "" {
		return
	}
	png, err := chromedp.Run(ctx, chromedp.FullScreenshot(100))
	if err != nil {
		t.Error(err)
		return
	}
	if err := os.WriteFile(filepath.Join(dir, name), png, 0o644); err != nil {
		t.Error(err)
	}
}
