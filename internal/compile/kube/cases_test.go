package kube

import (
	"time"

	"github.com/stratahq/strata/internal/addr"
	"github.com/stratahq/strata/internal/gateway/routepolicy"
	"github.com/stratahq/strata/internal/model"
)

// The inputs of the golden tests; the outputs are testdata/<name>.txtar.

func prodEnv() Env {
	return Env{
		Platform: "acme", PlatformDomain: "acme.example", Name: "prod", Cloud: "aws", Protected: true, Mesh: "istio",
		IngressDomain: "acme.example", InternalDomain: "internal.acme.example", GatewayClass: "istio", TLS: "acme", KEDA: true,
		Access: []model.AccessRule{
			{Groups: []string{"platform"}, Role: "admin"},
			{Groups: []string{"audit", "support"}, Role: "viewer"},
			{Groups: []string{"payments-leads", "payments-dev"}, Role: "operator", Teams: []string{"payments"}, Environments: []string{"dev", "prod"}},
			{Groups: []string{"payments-leads"}, Role: "operator", Teams: []string{"payments", "shop"}},
			{Groups: []string{"contractors"}, Role: "viewer", Environments: []string{"dev"}},
		},
		Labels: map[string]string{"cost-center": "4711", "not legal": "x", "note": "not a legal value!"},
	}
}

func localEnv() Env {
	return Env{Platform: "acme", PlatformDomain: "acme.example", Name: "local", Cloud: "local", Mesh: "strata", IngressDomain: "acme.localhost", InternalDomain: "internal.acme.localhost", TLS: "disabled", GatewayClass: "strata",
		ProxyImage:   "strata.local/proxy@sha256:3333333333333333333333333333333333333333333333333333333333333333",
		ControlImage: "strata.local/control@sha256:4444444444444444444444444444444444444444444444444444444444444444"}
}

var (
	dbHost     = Output{Resource: "db", Name: "host"}
	dbPassword = Output{Resource: "db", Name: "password", Secret: true, SecretPath: "acme/prod/payments/orders/db/password"}
	apiKey     = Output{Resource: "psp-key", Name: "value", Secret: true, SecretPath: "acme/prod/psp"}
)

func text(s string) Part       { return Part{Text: s} }
func output(o Output) Part     { return Part{Output: &o} }
func compose(p ...Part) []Part { return p }

// ordersWorkload uses most of what a workload can be.
func ordersWorkload(env string) Workload {
	return Workload{
		Addr: addr.Workload(env, "orders"), Name: "orders", Team: "payments",
		Annotations: map[string]string{"acme.example/runbook": "https://runbooks.acme.example/orders"},
		Containers: []Container{
			{
				Name: "main", Image: "registry.acme.example/apps/orders@sha256:1111111111111111111111111111111111111111111111111111111111111111",
				Args: []string{"serve", "--listen=:8080"},
				Variables: []Variable{
					{"DB_HOST", compose(output(dbHost))},
					{"DB_PASSWORD", compose(output(dbPassword))},
					{"DB_URL", compose(text("postgres://orders:"), output(dbPassword), text("@"), output(dbHost), text(":5432/$(x)$"), text(""))},
					{"LOG_LEVEL", compose(text("info"))},
					{"PRICE", compose(text("$$5 for $(NAME), $5"))},
				},
				Files: []File{
					{Path: "/etc/orders/app.conf", Content: compose(text("# orders\nlisten: 8080\nretry:\n  times: 3\n"))},
					{Path: "/etc/orders/db.conf", Content: compose(text("host="), output(dbHost), text("\n"))},
					{Path: "/etc/orders/db_password", Mode: "0400", Content: compose(output(dbPassword))},
					{Path: "/etc/orders/logo.bin", Binary: []byte{0xff, 0xfe, 0}},
					{Path: "/etc/orders/pgpass", Mode: "0400", Content: compose(output(dbHost), text(":5432:*:orders:"), output(dbPassword), text("\n"))},
					{Path: "/etc/orders/psp.json", Content: compose(text(`{"braces": "{{x}}", "key": "`), output(apiKey), text("\"}\n"))},
				},
				Resources: model.ContainerResources{Requests: &model.Compute{CPU: "250m", Memory: "256Mi"}, Limits: &model.Compute{Memory: "1Gi"}},
				Liveness:  &model.Probe{HTTPGet: &model.HTTPProbe{Path: "/alive", Port: 8080}},
				Readiness: &model.Probe{HTTPGet: &model.HTTPProbe{Path: "/ready", Port: 8080, Host: "orders.internal", Headers: []model.HTTPHeader{{Name: "X-Probe", Value: "1"}}}, Exec: &model.ExecProbe{Command: []string{"/bin/ready"}}},
			},
			{
				Name: "migrate", Image: "registry.acme.example/apps/orders@sha256:1111111111111111111111111111111111111111111111111111111111111111",
				Args: []string{"migrate"}, Variables: []Variable{{"DB_PASSWORD", compose(output(dbPassword))}},
				Before: map[string]model.ContainerDependsOn{"main": {Ready: "complete"}},
			},
			{
				Name: "proxy", Image: "registry.acme.example/apps/sqlproxy@sha256:2222222222222222222222222222222222222222222222222222222222222222",
				Readiness: &model.Probe{Exec: &model.ExecProbe{Command: []string{"/proxy", "ready"}}},
				Before:    map[string]model.ContainerDependsOn{"migrate": {Ready: "healthy"}, "main": {Ready: "started"}},
			},
		},
		Ports: []Port{{Name: "metrics", Port: 9090, Target: 9090, Protocol: "TCP"}, {Name: "web", Port: 80, Target: 8080}},
		Routes: []Route{
			{Resource: "root", Class: "public", Host: "orders.acme.example", Path: "/", Port: 80},
			{Resource: "api", Class: "public", Host: "orders.acme.example", Path: "/api", Port: 80},
			{Resource: "ops", Class: "internal", Host: "orders.internal.acme.example", Path: "/", Port: 9090},
		},
		Autoscaler: &Autoscaler{Min: 3, Max: 20, CPU: 70, Memory: 80, RequestsPerSecond: 50, QueueDepth: 100, Queue: "orders"},
		Outputs:    []Output{dbHost, dbPassword, apiKey},
		Calls: []Call{
			{Resource: "catalog", Workload: "catalog", Team: "shop", Port: 80, Target: 8080, Traffic: "http", Listen: 15200},
			{Resource: "prices", Workload: "catalog", Team: "shop", Port: 9000, Target: 9000, Place: 1, Traffic: "tcp", Listen: 15201},
		},
		Callers: []Call{{Workload: "storefront", Team: "shop", Port: 80, Target: 8080, Place: 1}, {Workload: "report", Team: "payments", Port: 80, Target: 8080, Place: 1}},
		Needs:   []Need{{Resource: "db", Type: "postgres", Ports: []int{5432}}, {Resource: "queue", Type: "amqp", Ports: []int{5671, 5672}}},
	}
}

// simple is the least that a workload can be.
func simple(env, name string) Workload {
	return Workload{Addr: addr.Workload(env, name), Name: name, Team: "shop", Containers: []Container{{Name: "main", Image: "acme/" + name + ":1"}}}
}

type golden struct {
	name   string
	render func() (Rendered, error)
}

func workloadCase(name string, env Env, w Workload) golden {
	return golden{name, func() (Rendered, error) { return RenderWorkload(env, w) }}
}

func goldens() []golden {
	plain := simple("local", "storefront")
	plain.Ports = []Port{{Name: "a-name-of-more-than-15-characters", Port: 80, Target: 8080}, {Name: "dns", Port: 53, Target: 53, Protocol: "UDP"}}
	plain.Routes = []Route{{Resource: "web", Class: "public", Host: "*.acme.localhost", Path: "/", Port: 80}}
	plain.Routes = append(plain.Routes, Route{Resource: "api", Class: "public", Host: "*.acme.localhost", Path: "/api", Port: 80, Policy: &routepolicy.Spec{
		RateLimit: &routepolicy.RateLimit{RequestsPerSecond: 50, Burst: 100}, MaxRequestBytes: 1 << 20,
		Token: &routepolicy.Token{Issuer: "https://id.acme.example", Audiences: []string{"storefront"}},
	}})
	plain.Callers = []Call{{Workload: "resolver", Team: "shop", Port: 53, Target: 53, Protocol: "UDP", Place: 1}}
	plain.Calls = []Call{{Resource: "resolver", Workload: "resolver", Team: "shop", Port: 53, Target: 5353, Protocol: "UDP"}}
	plain.Containers[0].Variables = []Variable{{"OTEL_EXPORTER_OTLP_ENDPOINT", compose(text("http://telemetry.strata-system.svc:4318"))}}

	job := simple("local", "settlement")
	job.Schedule = &Schedule{Cron: "0 3 * * *"}
	job.Calls = []Call{{Resource: "orders", Workload: "orders", Team: "payments", Port: 80, Target: 8080, Place: 1, Traffic: "http", Listen: 15200}}

	report := simple("prod", "a-nightly-report-with-a-name-that-is-too-long-for-a-cronjob")
	report.Schedule = &Schedule{Cron: "0 3 * * *", Timezone: "Europe/Berlin", Retries: 2}
	report.Volumes = []Volume{{Resource: "scratch", Size: "10Gi", Ephemeral: true}}
	report.Containers[0].Mounts = []Mount{{Path: "/tmp", Volume: "scratch"}}

	recommender := simple("prod", "recommender")
	recommender.GPU = &GPU{Count: 2, Model: "nvidia-l4"}
	recommender.Volumes = []Volume{{Resource: "models", Size: "50Gi", AccessMode: "ReadWriteOnce", Class: "fast"}, {Resource: "shared", Size: "1Ti", AccessMode: "ReadWriteMany"}}
	recommender.Containers[0].Mounts = []Mount{{Path: "/models", SubPath: "v1", Volume: "models"}, {Path: "/shared", Volume: "shared", ReadOnly: true}}

	noTLS := prodEnv()
	noTLS.TLS, noTLS.Mesh, noTLS.Access = "disabled", "strata", nil
	noIngress := prodEnv()
	noIngress.IngressDomain, noIngress.GroupsPrefix = "", "oidc:"

	team := func(name string, env Env, t Team) golden {
		return golden{name, func() (Rendered, error) { objs, err := RenderTeam(env, t); return Rendered{Objects: objs}, err }}
	}
	platform := func(name string, env Env) golden {
		return golden{name, func() (Rendered, error) {
			objs, err := RenderPlatform(env, Platform{Addr: addr.Platform(env.Name, "gateway")})
			return Rendered{Objects: objs}, err
		}}
	}
	control := func(name string, env Env) golden {
		return golden{name, func() (Rendered, error) {
			objs, err := RenderControl(env, Platform{Addr: addr.Platform(env.Name, "mesh")})
			return Rendered{Objects: objs}, err
		}}
	}
	admission := func(name string, env Env, a Admission) golden {
		a.Addr = addr.Platform(env.Name, "policy")
		return golden{name, func() (Rendered, error) { objs, err := RenderAdmission(env, a); return Rendered{Objects: objs}, err }}
	}
	ownGateway := prodEnv()
	ownGateway.KEDA = false
	ownGateway.GatewayClass, ownGateway.ProxyImage, ownGateway.ControlImage = "strata", localEnv().ProxyImage, localEnv().ControlImage
	addons := func(env Env, tls string) Env {
		env.Addons, env.Region = true, "eu-west-1"
		if tls != "" {
			env.TLS = tls
		}
		return env
	}
	ownAuthority := localEnv()
	ownAuthority.TLS, ownAuthority.Access = model.TLSPlatformCA, []model.AccessRule{
		{Groups: []string{"platform"}, Role: "admin"}, {Groups: []string{"payments-dev", "platform"}, Role: "viewer", Teams: []string{"payments"}}, {Groups: []string{"ops"}, Role: "operator", Environments: []string{"prod"}},
	}
	return []golden{
		control("control-platform-ca", ownAuthority),
		platform("platform-platform-ca", ownAuthority),
		control("control-local", localEnv()),
		control("control-prod", ownGateway),
		platform("platform-local", localEnv()),
		admission("admission-local", localEnv(), Admission{Registries: []string{"strata.local/"}, Images: []string{"acme/tool:1"}}),
		admission("admission-prod", prodEnv(), Admission{Registries: []string{"registry.acme.example/apps/"}, Exceptions: []Exception{
			{Rule: "service-exposed", Kind: "Service", Namespace: "payments", Name: "legacy-*", Expires: time.Date(2027, 12, 31, 0, 0, 0, 0, time.UTC), Owner: "payments", Reason: "The bank dials in."},
			{Rule: "pss-host-ports", Kind: "DaemonSet", Namespace: "*", Name: "agent", Expires: time.Date(2027, 6, 30, 0, 0, 0, 0, time.UTC), Owner: "platform", Reason: "It collects logs."},
			{Rule: "database-availability", Kind: "*", Namespace: "*", Name: "*", Expires: time.Date(2027, 6, 30, 0, 0, 0, 0, time.UTC), Owner: "platform", Reason: "No matter here."},
		}}),
		workloadCase("orders-prod", prodEnv(), ordersWorkload("prod")),
		workloadCase("orders-local", localEnv(), ordersWorkload("local")),
		workloadCase("storefront-local", localEnv(), plain),
		workloadCase("settlement-local", localEnv(), job),
		workloadCase("report-prod", prodEnv(), report),
		workloadCase("recommender-prod", prodEnv(), recommender),
		team("team-prod", prodEnv(), Team{Addr: addr.Team("prod", "payments"), Name: "payments", Team: model.Team{Quota: &model.TeamQuota{CPU: "20", Pods: 50}}, Labels: map[string]string{"division": "money"}}),
		team("team-local", localEnv(), Team{Addr: addr.Team("local", "shop"), Name: "shop"}),
		platform("platform-prod", prodEnv()),
		platform("platform-addons-acme", addons(ownGateway, "")),
		platform("platform-addons-ca", addons(prodEnv(), model.TLSPlatformCA)),
		platform("platform-addons-own-ca", addons(ownGateway, model.TLSPlatformCA)),
		platform("platform-no-tls", noTLS),
		platform("platform-no-ingress", noIngress),
	}
}
