// Package image makes OCI images of recipes, without Docker and without root: Debian
// packages as the machine's own apt resolves and verifies them, Go programs and files.
// The same inputs give the same bytes. What belongs here is how an image comes to be,
// is described (SBOM) and gets to where it is used; what runs in it is not.
package image
