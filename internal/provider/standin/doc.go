// Package standin serves any OpenTofu provider from its schema, so that the real
// OpenTofu can validate, plan, test and apply modules without network and without
// credentials. Computed attributes are unknown until apply, which invents plausible
// values that are the same every time; what is applied is kept in a folder that
// plays the cloud. Data sources answer from fixtures beside the modules.
//
// What a schema does not say (which attributes force replacement, what a name must
// be unique in, how an object is imported) comes from hand-written facts. Anything
// that a real provider checks beyond its schema is not checked here.
package standin
