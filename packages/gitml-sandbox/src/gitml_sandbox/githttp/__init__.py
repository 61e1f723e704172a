"""Git over HTTP: who may, the push in front of the rules, the answer."""
