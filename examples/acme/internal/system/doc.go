// Package system tests the programs together: as processes of their own, with a real
// database and a real broker, and with crashes in the middle. It holds tests alone.
package system
