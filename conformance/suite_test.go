package conformance

import (
	"io/fs"
	"os"
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/util/sets"
	"k8s.io/utils/ptr"
	gwv1 "sigs.k8s.io/gateway-api/apis/v1beta1"
	conformance "sigs.k8s.io/gateway-api/conformance"
	confv1 "sigs.k8s.io/gateway-api/conformance/apis/v1"
	"sigs.k8s.io/gateway-api/conformance/utils/suite"
	"sigs.k8s.io/gateway-api/pkg/features"

	"github.com/stratahq/strata/internal/gateway/translate"
)

// TestSuite runs the suite. TestConformance starts it in the node's network.
func TestSuite(t *testing.T) {
	if os.Getenv(inside) == "" || strings.HasPrefix(*only, "Test") {
		t.Skip("TestConformance runs this in a node")
	}
	o := conformance.DefaultOptions(t)
	base, files := manifests(t)
	o.BaseManifests, o.ManifestFS = base, []fs.FS{files}
	o.GatewayClassName = "strata"
	o.CleanupBaseResources = false
	o.ConformanceProfiles = sets.New(suite.GatewayHTTPConformanceProfileName, suite.GatewayGRPCConformanceProfileName)
	o.SupportedFeatures = sets.New[features.FeatureName]()
	for _, f := range translate.Features() {
		o.SupportedFeatures.Insert(features.FeatureName(f))
	}
	// The range of Services' addresses is the node's; nothing else asks for one.
	o.UsableNetworkAddresses = []gwv1.GatewaySpecAddress{{Type: ptr.To(gwv1.IPAddressType), Value: "10.96.77.7"}}
	o.UnusableNetworkAddresses = []gwv1.GatewaySpecAddress{{Type: ptr.To(gwv1.IPAddressType), Value: "192.0.2.1"}}
	o.RunTest = *only
	o.ReportOutputPath = output(t, *report)
	o.Implementation = confv1.Implementation{
		Organization: "stratahq", Project: "strata", URL: "https://github.com/stratahq/strata", Version: *version, Contact: []string{"https://github.com/stratahq/strata/issues"},
	}
	conformance.RunConformanceWithOptions(t, o)
}
