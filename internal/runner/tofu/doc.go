// Package tofu is the runner of tofu units: it drives the real OpenTofu (or, if
// asked for, Terraform) one root at a time. It belongs here how a process is
// started, stopped and survived, what its JSON log and its plans say, and what to
// do about what it left behind; which units run when is the engine's business.
//
// Every process gets its own folder, CLI configuration and a clean environment.
// It does not die with Strata: it writes its log to a file and comes to its own
// end; the next run waits for it, sees to it that the state it wrote is whole, and
// reads what became of it. See docs/adr.
package tofu
