"""Scripted SSTP peers for the integration tests: a client, a strict server, a man in the middle.

They are written from the specifications and share no code with the gate, so that an error on one
side does not cancel out the same error on the other. No file imports "upwards": sstp, mschap, ppp, head,
tls and pki import none of the others; auth, link and packets use them; client, server and mitm are programs."""
