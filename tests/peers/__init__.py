"""Scripted SSTP peers for the integration tests: a client, a strict server, a man in the middle.

They are written from the specifications and share no code with the gate, so that a mistake made
on one side is seen on the other. No file imports "upwards": sstp, mschap, ppp, head, tls and pki
stand alone; auth, link and packets use them; client, server and mitm are the programs."""
