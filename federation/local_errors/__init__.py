"""The errors that only a node meets: its operator's, its peers', its disk's and its askers'.

    FederationError
    ├── ConfigError        config: the operator wrote or placed something wrong
    ├── ProtocolError      proofs, content: bytes or values that are not well-formed
    ├── VerificationError  proofs: well-formed, but not proven
    │   └── Fork           a log's key signed two histories; carries the evidence
    ├── PeerError          peers: another node was silent, refused, or answered nonsense
    ├── StoreError         disk: our own disk or database
    ├── NotFound           askers: no such thing here
    └── NotAllowed         askers: the asker has no right to it

Some leaves of ``ProtocolError`` and ``VerificationError`` stand here too: of forms that only nodes
exchange, of what only they judge who hold whole logs, and of what is refused at a node's local
door. The tree and its rules are told in ``errors``; what judges a bundle knows nothing of this
room.
"""
