// Package e2e holds tests that run the program as people do, with the real OpenTofu
// against stand-ins: applies that are killed, plans that are tampered with, clouds
// that fail. It holds no code of the program.
package e2e
