/* How the page's functions answer each kind of published vector. Run inside the page by
   test_browser_verifier.py; [accepted, code of the refusal, answer where the vectors give one]. */
(() => {
  const input = (one, name) => (Object.hasOwn(one, name) ? utf8(one[name]) : unhex(one[`${name}_hex`]));
  const lines = (one, name) => one[`${name}_hex`].map(unhex);
  const ops = {
    base64: (one) => hex(parseBase64(one.text, "note-malformed")),
    decimal: (one) => String(parseDecimal(one.text, "note-malformed")),
    characters: (one) => checkCharacters(one.text, "note-malformed") ?? null,
    vkey: (one) => parseVkey(one.text),
    public_key: (one) => checkPublicKey(unhex(one.public_hex)),
    ed25519: async (one) => (await checkEd25519(unhex(one.public_hex), unhex(one.message_hex), unhex(one.signature_hex)))
      || refuse("signature-invalid", "the check says no"),
    leaf: async (one) => hex(await leafHash(unhex(one.entry_hex))),
    inclusion: (one) => verifyInclusion(BigInt(one.index), BigInt(one.size), unhex(one.leaf_hex), lines(one, "proof"), unhex(one.root_hex)),
    note: (one) => parseNote(input(one, "note")),
    signature_line: (one) => (one.text.endsWith("\n") ? parseSignatureLine(one.text.slice(0, -1)) : refuse("note-malformed", "no newline")),
    checkpoint: (one) => parseCheckpoint(one.text),
    open_checkpoint: async (one) => {
      const vkey = await parseVkey(one.vkey);
      if (vkey.type !== 1) refuse("key-malformed", "another type");
      return openCheckpoint(parseNote(input(one, "note")), vkey);
    },
    open_cosignature: async (one) => {
      const vkey = await parseVkey(one.vkey);
      if (vkey.type !== 4) refuse("key-malformed", "another type");
      return openCosignature(one.text, parseSignatureLine(one.line.replace(/\n$/, "")), vkey);
    },
    tlog_proof: (one) => parseTlogProof(input(one, "proof")),
    origin: (one) => parseOrigin(one.origin),
    member_name: (one) => checkMemberName(one.member) ?? null,
    decode: (one) => decodeMessagePack(unhex(one.encoded_hex), Number(one.bytes_max)),
    decode_map: (one) => {
      const value = decodeMessagePack(unhex(one.encoded_hex), Number(one.bytes_max));
      return value instanceof Map ? value : refuse("encoding-malformed", "a map was expected");
    },
    header: (one) => decodeHeader(unhex(one.encoded_hex)),
    quorum: (one) => parseQuorum(one.text),
    attestation: (one) => parseAttestation(one.text),
    roster: (one) => parseRoster(input(one, "root")),
    chain: async (one) => {
      let roster = await trustRoot(utf8(one.roots[0]));
      for (const root of one.roots.slice(1)) roster = await extendChain(roster, utf8(root));
      return roster;
    },
  };
  const plain = new Set(["base64", "decimal", "leaf"]);
  const ask = async (one) => {
    try {
      const answer = await ops[one.op](one);
      return [true, null, plain.has(one.op) ? answer : null];
    } catch (error) {
      if (!(error instanceof Refusal)) throw error;
      return [false, error.code, null];
    }
  };
  return { ops: Object.keys(ops), plain: [...plain], all: (cases) => Promise.all(cases.map(ask)) };
})()
