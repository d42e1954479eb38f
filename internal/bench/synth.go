package main

import (
	"crypto/sha256"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
)

// synthesize writes a platform of n workloads and four environments into dir.
// The same n gives the same files. Workloads differ in what they need, in
// sizes, in variables and in whom they call, as they do in life.
func synthesize(dir string, n int) error {
	r := rand.New(rand.NewPCG(1, uint64(n)))
	files := map[string]string{}
	teams := max(1, n/50)
	var p strings.Builder
	p.WriteString("apiVersion: strata/v1alpha1\nkind: Platform\nmetadata: {name: synth}\nspec:\n  domain: synth.example\n  registry: registry.synth.example/apps\n")
	p.WriteString("  people:\n")
	for i := range 3 {
		fmt.Fprintf(&p, "    lead%d@synth.example: {keys: [\"ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAI%043d\"], groups: [platform]}\n", i, i)
	}
	p.WriteString("  identity: {issuer: \"https://login.synth.example\", clientID: strata}\n  access: [{groups: [platform], role: admin}]\n  teams:\n")
	for i := range teams {
		fmt.Fprintf(&p, "    team-%d: {contact: team-%d@synth.example}\n", i, i)
	}
	files["strata.yaml"] = p.String()
	envs := []string{"dev", "qa", "staging", "prod"}
	for i, env := range envs {
		files["environments/"+env+".yaml"] = synthEnvironment(env, i, envs)
	}
	releases := map[string]*strings.Builder{}
	for _, env := range envs {
		b := &strings.Builder{}
		fmt.Fprintf(b, "apiVersion: strata/v1alpha1\nkind: Release\nmetadata: {name: %s}\nspec:\n%s  workloads:\n", env, platformImages("registry.synth.example/apps"))
		releases[env] = b
	}
	for i := range n {
		name := fmt.Sprintf("svc-%05d", i)
		files["workloads/"+name+"/score.yaml"] = synthWorkload(r, i, teams)
		for _, env := range envs {
			fmt.Fprintf(releases[env], "    %s: {images: {main: \"registry.synth.example/apps/%s@sha256:%x\"}}\n", name, name, sha256.Sum256([]byte(env+name)))
		}
	}
	for env, b := range releases {
		files["releases/"+env+".yaml"] = b.String()
	}
	for name, content := range files {
		file := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
			return err
		}
		if err := os.WriteFile(file, []byte(content), 0o644); err != nil {
			return err
		}
	}
	return nil
}

func synthEnvironment(env string, i int, all []string) string {
	var b strings.Builder
	fmt.Fprintf(&b, "apiVersion: strata/v1alpha1\nkind: Environment\nmetadata: {name: %s}\nspec:\n  cloud: aws\n", env)
	fmt.Fprintf(&b, "  account: {id: \"%012d\", role: strata-deployer}\n  region: eu-west-1\n", 111100000000+i)
	if i > 0 {
		fmt.Fprintf(&b, "  promotesFrom: %s\n", all[i-1])
	}
	if env == "prod" {
		b.WriteString("  protected: true\n  approvals: {required: 2, groups: [platform], notAuthor: true}\n  resources: {postgres: {params: {highAvailability: true}}}\n")
	}
	fmt.Fprintf(&b, "  state: {backend: s3, bucket: synth-%s-state, kmsKey: \"arn:aws:kms:eu-west-1:%012d:key/state\"}\n", env, 111100000000+i)
	fmt.Fprintf(&b, "  network: {cidr: 10.%d.0.0/16, zones: 3, nat: per-zone}\n", 10*(i+1))
	b.WriteString("  cluster: {version: \"1.37\", nodePools: [{name: general, instance: m7g.4xlarge, min: 3, max: 400}]}\n")
	fmt.Fprintf(&b, "  ingress: {domain: %s.synth.example}\n", env)
	return b.String()
}

func synthWorkload(r *rand.Rand, i, teams int) string {
	var b strings.Builder
	fmt.Fprintf(&b, "apiVersion: score.dev/v1b1\nmetadata: {name: svc-%05d, team: team-%d}\nservice:\n  ports:\n    http: {port: 8080}\n", i, i%teams)
	b.WriteString("containers:\n  main:\n    image: .\n    variables:\n      LOG_LEVEL: info\n")
	var res strings.Builder
	if i%3 == 0 {
		b.WriteString("      DB: postgres://${resources.db.username}:${resources.db.password}@${resources.db.host}:${resources.db.port}/${resources.db.name}\n")
		fmt.Fprintf(&res, "  db: {type: postgres, params: {storage: %dGi}}\n", 20+10*r.IntN(8))
	}
	if i%5 == 0 {
		b.WriteString("      BUCKET: ${resources.files.bucket}\n      BUCKET_KEY: ${resources.files.secret_key}\n")
		res.WriteString("  files: {type: s3}\n")
	}
	if i > 0 {
		fmt.Fprintf(&b, "      UPSTREAM: ${resources.up.url}\n")
		fmt.Fprintf(&res, "  up: {type: service, params: {name: svc-%05d, port: http}}\n", r.IntN(i))
	}
	for v := range r.IntN(5) {
		fmt.Fprintf(&b, "      SETTING_%d: value-%d\n", v, r.IntN(1000))
	}
	if i%7 == 0 {
		fmt.Fprintf(&b, "    files:\n      /etc/app/config.json: {content: '{\"limit\": %d}'}\n", r.IntN(1000))
	}
	mem := 64 << r.IntN(4)
	fmt.Fprintf(&b, "    resources: {requests: {cpu: %dm, memory: %dMi}, limits: {cpu: \"1\", memory: %dMi}}\n", 50+50*r.IntN(4), mem, mem*2)
	b.WriteString("    livenessProbe: {httpGet: {path: /healthz, port: 8080}}\n    readinessProbe: {httpGet: {path: /readyz, port: 8080}}\n")
	res.WriteString("  scale: {type: horizontal-pod-autoscaler, params: {min: 2, max: 6, metrics: {cpu: 70}}}\n")
	if i%10 == 0 {
		fmt.Fprintf(&res, "  web: {type: route, class: public, params: {host: svc-%05d, path: /, port: http}}\n", i)
	}
	b.WriteString("resources:\n" + res.String())
	return b.String()
}

// platformImages are the lines of a release that name the images of the mesh and the
// gateway.
func platformImages(registry string) string {
	return fmt.Sprintf("  platform:\n    proxy: %s/strata-proxy@sha256:%064x\n    control: %s/strata-control@sha256:%064x\n", registry, 1, registry, 2)
}
