package gateway

import (
	"cmp"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"github.com/stratahq/strata/internal/proxy/config"
)

// cors is config.CORS made ready.
type cors struct {
	config.CORS
	origins                []origin
	anyMethod, anyHeader   bool
	methods, names, expose string
}

// origin is an allowed origin; a "*" in it stands for any text without a slash.
type origin struct {
	before, after string
	wild          bool
}

const (
	allowOrigin      = "Access-Control-Allow-Origin"
	allowCredentials = "Access-Control-Allow-Credentials"
	allowMethods     = "Access-Control-Allow-Methods"
	allowHeaders     = "Access-Control-Allow-Headers"
	exposeHeaders    = "Access-Control-Expose-Headers"
	maxAge           = "Access-Control-Max-Age"
	requestMethod    = "Access-Control-Request-Method"
	requestHeaders   = "Access-Control-Request-Headers"
)

func newCORS(c config.CORS) *cors {
	out := &cors{
		CORS: c, anyMethod: slices.Contains(c.AllowMethods, "*"), anyHeader: slices.Contains(c.AllowHeaders, "*"),
		methods: strings.Join(c.AllowMethods, ", "), names: strings.Join(c.AllowHeaders, ", "), expose: strings.Join(c.ExposeHeaders, ", "),
	}
	for _, o := range c.AllowOrigins {
		before, after, wild := strings.Cut(canonicalOrigin(o), "*")
		out.origins = append(out.origins, origin{before, after, wild})
	}
	return out
}

// canonicalOrigin leaves out a port that the scheme implies.
func canonicalOrigin(o string) string {
	o = strings.ToLower(o)
	if s, ok := strings.CutSuffix(o, ":80"); ok && strings.HasPrefix(o, "http://") {
		return s
	}
	if s, ok := strings.CutSuffix(o, ":443"); ok && strings.HasPrefix(o, "https://") {
		return s
	}
	return o
}

func (c *cors) allows(from string) bool {
	from = canonicalOrigin(from)
	return slices.ContainsFunc(c.origins, func(o origin) bool {
		if !o.wild {
			return from == o.before
		}
		middle, ok := strings.CutPrefix(from, o.before)
		if !ok {
			return false
		}
		middle, ok = strings.CutSuffix(middle, o.after)
		// "*" alone is for all; within an origin it stands for a part of the host.
		return ok && (o.before == "" && o.after == "" || middle != "" && !strings.ContainsAny(middle, "/:@"))
	})
}

// preflight says whether a request asks what may be asked for (the Fetch standard, "CORS
// protocol").
func preflight(r *http.Request) bool {
	return r.Method == http.MethodOptions && r.Header.Get("Origin") != "" && r.Header.Get(requestMethod) != ""
}

// answer sets the headers of the response to a request. With all it sets those for a
// preflight request too. Those of the backend are dropped: there is to be one authority.
func (c *cors) answer(h http.Header, r *http.Request, all bool) {
	for _, name := range []string{allowOrigin, allowCredentials, allowMethods, allowHeaders, exposeHeaders, maxAge} {
		h.Del(name)
	}
	from := r.Header.Get("Origin")
	if from == "" {
		return
	}
	h.Add("Vary", "Origin")
	if !c.allows(from) {
		return
	}
	// The origin itself, and never "*": it is right with and without credentials.
	h.Set(allowOrigin, from)
	if c.AllowCredentials {
		h.Set(allowCredentials, "true")
	}
	if c.expose != "" && !(c.AllowCredentials && c.expose == "*") {
		h.Set(exposeHeaders, c.expose)
	}
	if !all {
		return
	}
	h.Add("Vary", requestMethod)
	h.Add("Vary", requestHeaders)
	set := func(name, value string, anything bool, asked string) {
		if anything {
			value = r.Header.Get(asked)
		}
		if value != "" {
			h.Set(name, value)
		}
	}
	set(allowMethods, c.methods, c.anyMethod, requestMethod)
	set(allowHeaders, c.names, c.anyHeader, requestHeaders)
	h.Set(maxAge, strconv.Itoa(cmp.Or(c.MaxAge, 5))) // the Fetch standard's default
}
