package system

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"example.com/acme/internal/testenv"
)

const paymentToken = "payment-token-of-the-tests"

// world is the shop as it runs in a cluster, on this machine.
type world struct {
	bin      string
	common   map[string]string
	programs map[string]*program
	postgres *testenv.Postgres
	mq       *testenv.RabbitMQ
	s3       *testenv.S3
	kafka    *testenv.Kafka
	catalogs string // URL of the catalog's database
}

// program is one of the programs, with what starts it.
type program struct {
	name    string
	args    []string
	env     map[string]string
	url     string
	process *testenv.Process
}

// newWorld builds the programs and starts the servers that they need.
func newWorld(t *testing.T) *world {
	t.Helper()
	ca := testenv.NewCA(t)
	w := &world{bin: testenv.Dir(t, "bin"), programs: map[string]*program{}}
	w.postgres = testenv.StartPostgres(t, ca)
	w.mq = testenv.StartRabbitMQ(t, ca)
	w.s3, w.kafka = testenv.StartS3(t, ca), testenv.StartKafka(t, ca)
	w.common = map[string]string{"BIND_ADDRESS": "127.0.0.1", "SSL_CERT_FILE": ca.File, "SSL_CERT_DIR": filepath.Dir(ca.File)}
	redis := testenv.StartRedis(t, ca)

	build := exec.Command("go", "build", "-o", w.bin, "example.com/acme/workloads/...")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("go build: %v\n%s", err, out)
	}
	w.catalogs = w.postgres.Database(t, "catalog")
	catalog := w.add(t, "catalog", nil, map[string]string{"DATABASE_URL": w.catalogs})
	recommender := w.add(t, "recommender", nil, map[string]string{"MODEL_DIR": t.TempDir()})
	checkoutDB := w.postgres.Database(t, "checkout")
	checkout := w.add(t, "checkout", []string{"serve"}, map[string]string{
		"DATABASE_URL": checkoutDB, "ORDERS_URL": w.mq.URL, "ORDERS_QUEUE": "orders", "CATALOG_URL": catalog.url,
		"PAYMENT_TOKEN": paymentToken, "WEBHOOK_URL": "https://pay.acme.localhost/webhooks", "PAYMENT_PROVIDER": "sandbox",
	})
	migrate := testenv.Program(t, filepath.Join(w.bin, "checkout"), merged(w.common, map[string]string{"DATABASE_URL": checkoutDB}), "migrate")
	if err := migrate.Wait(); err != nil {
		t.Fatalf("checkout migrate: %v\n%s", err, migrate.Output())
	}
	w.add(t, "fulfilment", nil, merged(w.s3.Env("LABELS"), w.kafka.Env(), map[string]string{"ORDERS_URL": w.mq.URL, "ORDERS_QUEUE": "orders"}))
	config := filepath.Join(t.TempDir(), "config.json")
	if err := os.WriteFile(config, []byte(`{"workload": "storefront", "currency": "EUR", "priceFormat": "${amount} EUR"}`), 0o600); err != nil {
		t.Fatal(err)
	}
	front := w.add(t, "storefront", nil, map[string]string{
		"CATALOG_URL": catalog.url, "CHECKOUT_URL": checkout.url, "RECOMMENDER_URL": recommender.url, "CONFIG_FILE": config,
		"CACHE_ADDR": "localhost:" + redis.Port(), "CACHE_USERNAME": "cache", "CACHE_PASSWORD": "secret",
	})
	front.env["PUBLIC_URL"] = front.url
	t.Cleanup(func() {
		if t.Failed() {
			for _, p := range w.programs {
				if p.process != nil {
					t.Logf("%s:\n%s", p.name, last(p.process.Output(), 30))
				}
			}
		}
	})
	return w
}

func merged(all ...map[string]string) map[string]string {
	out := map[string]string{}
	for _, m := range all {
		maps.Copy(out, m)
	}
	return out
}

// last returns the last lines of a text.
func last(text string, n int) string {
	lines := strings.Split(text, "\n")
	return strings.Join(lines[max(0, len(lines)-n):], "\n")
}

// add describes a program, which start starts.
func (w *world) add(t *testing.T, name string, args []string, env map[string]string) *program {
	t.Helper()
	port := testenv.FreePort(t)
	p := &program{name: name, args: args, url: fmt.Sprintf("http://127.0.0.1:%d", port), env: merged(w.common, env, map[string]string{"PORT": fmt.Sprint(port)})}
	w.programs[name] = p
	return p
}

// start starts programs and waits until they are ready.
func (w *world) start(t *testing.T, names ...string) {
	t.Helper()
	for _, name := range names {
		p := w.programs[name]
		p.process = testenv.Program(t, filepath.Join(w.bin, name), p.env, p.args...)
	}
	for _, name := range names {
		w.ready(t, name)
	}
}

func (w *world) ready(t *testing.T, name string) {
	t.Helper()
	w.programs[name].process.Until(t, name+" is ready", func() error {
		resp, err := http.Get(w.programs[name].url + "/readyz")
		if err != nil {
			return err
		}
		defer resp.Body.Close()
		body, _ := io.ReadAll(resp.Body)
		if resp.StatusCode != http.StatusOK {
			return fmt.Errorf("%s %s", resp.Status, body)
		}
		return nil
	})
}

// customer is a browser without a screen.
type customer struct {
	http *http.Client
	url  string
}

func (w *world) customer(t *testing.T) *customer {
	t.Helper()
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	return &customer{&http.Client{Jar: jar}, w.programs["storefront"].url}
}

func (c *customer) get(path string) (string, error) {
	resp, err := c.http.Get(c.url + path)
	if err != nil {
		return "", err
	}
	return text(resp)
}

func text(resp *http.Response) (string, error) {
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err == nil && resp.StatusCode != http.StatusOK {
		err = fmt.Errorf("%s %s", resp.Request.URL, resp.Status)
	}
	return string(body), err
}

var (
	keyField = regexp.MustCompile(`name="key" value="([A-Z2-7]+)"`)
	inURL    = regexp.MustCompile(`/orders/([A-Z2-7]{16})$`)
)

// order orders a product on its page and returns the order's id.
func (c *customer) order(product string, quantity int) (string, error) {
	body, err := c.get("/products/" + product)
	if err != nil {
		return "", err
	}
	key := keyField.FindStringSubmatch(body)
	if key == nil {
		return "", errors.New("the page has no form")
	}
	resp, err := c.http.PostForm(c.url+"/orders", url.Values{"product": {product}, "quantity": {fmt.Sprint(quantity)}, "key": {key[1]}})
	if err != nil {
		return "", err
	}
	if _, err := text(resp); err != nil {
		return "", err
	}
	id := inURL.FindStringSubmatch(resp.Request.URL.Path)
	if id == nil {
		return "", fmt.Errorf("ordering ends at %s", resp.Request.URL)
	}
	return id[1], nil
}

// shipped waits until the pages of all orders say that they are on their way.
func (c *customer) shipped(t *testing.T, ids ...string) {
	t.Helper()
	for _, id := range ids {
		testenv.Wait(t, "order "+id+" is shipped", func() error {
			body, err := c.get("/orders/" + id + "/status")
			if err == nil && !strings.Contains(body, "on its way") {
				err = errors.New(body)
			}
			return err
		})
	}
}

// lines are what a program has logged.
func (p *program) lines(t *testing.T) []map[string]any {
	t.Helper()
	var out []map[string]any
	for line := range strings.Lines(p.process.Output()) {
		var entry map[string]any
		if err := json.Unmarshal([]byte(line), &entry); err != nil {
			t.Errorf("%s: the line is no JSON: %s", p.name, line)
		}
		out = append(out, entry)
	}
	return out
}

func TestShop(t *testing.T) {
	w := newWorld(t)
	// No order of starting is needed: each waits for what it depends on.
	w.start(t, "storefront", "fulfilment", "recommender", "checkout", "catalog")
	// One after the other in one test: what they start anew has to outlive them.
	orderIsShipped(t, w)
	noOrderIsLost(t, w)
	for name, p := range w.programs {
		if err := p.process.Stop(); err != nil {
			t.Errorf("%s does not end well: %v", name, err)
		}
	}
}

// An order goes through all programs and comes back to the page, in one trace.
func orderIsShipped(t *testing.T, w *world) {
	c := w.customer(t)
	testenv.Wait(t, "the page has products and recommendations", func() error {
		body, err := c.get("/")
		for _, want := range []string{"Desk lamp", "69.00 EUR", "Loved by others"} {
			if err == nil && !strings.Contains(body, want) {
				err = fmt.Errorf("%q is not on the page", want)
			}
		}
		return err
	})
	id, err := c.order("ceramic-mug", 2)
	if err != nil {
		t.Fatal(err)
	}
	screenshots(t, c.url, id)
	c.shipped(t, id)

	body, err := c.get("/orders")
	if err != nil || !strings.Contains(body, "/orders/"+id) || !strings.Contains(body, "29.00 EUR") {
		t.Errorf("the order is not among those of the browser: %v", err)
	}
	if body, err = w.customer(t).get("/orders"); err != nil || strings.Contains(body, id) {
		t.Errorf("the order is among those of another browser: %v", err)
	}
	if keys := w.s3.Keys(); len(keys) != 1 || !strings.HasSuffix(keys[0], "/"+id+".svg") {
		t.Errorf("labels %v", keys)
	}
	if keys := w.kafka.Keys(t, 1); !keys[id] {
		t.Errorf("events of %v", keys)
	}

	traces := map[string]string{}
	for name, message := range map[string]string{"checkout": "order placed", "fulfilment": "order shipped"} {
		for _, line := range w.programs[name].lines(t) {
			if line["msg"] == message {
				traces[name], _ = line["trace_id"].(string)
			}
		}
	}
	if traces["checkout"] == "" || traces["checkout"] != traces["fulfilment"] {
		t.Errorf("traces %v: the message does not continue that of the order", traces)
	}
}

// screenshots takes pictures of the pages at the sizes of a phone and a desktop, where
// ACME_SCREENSHOTS says where to put them.
func screenshots(t *testing.T, base, order string) {
	t.Helper()
	dir := os.Getenv("ACME_SCREENSHOTS")
	if dir == "" {
		return
	}
	for page, path := range map[string]string{
		"home": "/", "product": "/products/storm-lantern", "search": "/?q=zzz", "order": "/orders/" + order,
	} {
		for size, window := range map[string]string{"phone": "390,1400", "desktop": "1280,1500"} {
			cmd := exec.Command("chromium", "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
				"--disable-background-networking", "--disable-component-update", "--disable-sync", "--hide-scrollbars",
				"--user-data-dir="+t.TempDir(), "--window-size="+window, "--virtual-time-budget=3000",
				"--screenshot="+filepath.Join(dir, page+"-"+size+".png"), base+path)
			if out, err := cmd.CombinedOutput(); err != nil {
				t.Errorf("%s: %v\n%s", page, err, out)
			}
		}
	}
}

var errFew = errors.New("there are too few orders yet")
