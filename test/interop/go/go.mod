// The real server of the upstream tests that is written in Go. The module's version is the last that Debian 12's Go compiles.
module spooky.invalid/server

go 1.18

require golang.org/x/net v0.35.0

require golang.org/x/text v0.22.0 // indirect
