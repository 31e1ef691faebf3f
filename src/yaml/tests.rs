use super::*;

fn fault_of(text: &str) -> String {
    let fault = document(text).unwrap_err();
    format!("{} at {:?}: {}; {}", fault.rule, fault.place, fault.what, fault.instead)
}

#[test]
fn what_yaml_allows_and_a_signed_document_must_not_is_a_fault() {
    let anchors = "anchors (&) and aliases (*) are not accepted; write the value out where it is used";
    let table = [
        ("a: &x 1\nb: *x\n", format!("anchor at 6..7: {anchors}")),
        ("a: !thing 1\n", "tag at 10..11: tags ('!name') are not accepted; remove the tag".into()),
        (
            "<<: {a: 1}\n",
            "merge-key at 0..2: the merge key '<<' is not accepted; write the keys out where they belong".into(),
        ),
        (
            "a: 1\n---\nb: 2\n",
            "second-document at 5..8: a second document begins here; keep one document per file: remove '---' and what \
             follows it"
                .into(),
        ),
        (&format!("{}{}", "[".repeat(20), "]".repeat(20)), "too-deep at 16..17: more than 16 levels of nesting; remove the nesting".into()),
        (
            "a:\n\tb: 1\n",
            "syntax at 4..5: tabs disallowed within this context (block indentation); indent with spaces, not with tabs".into(),
        ),
        (
            "a: b: c\n",
            "syntax at 4..5: mapping values are not allowed in this context; one 'key: value' per line, with a space \
             after the colon; text that contains ': ' goes in quotes"
                .into(),
        ),
        (
            "ä: [1\n",
            "syntax at 4..5: unclosed bracket '['; check the indentation, and that brackets and quotes are closed, on \
             this line and the one before"
                .into(),
        ),
    ];
    for (text, expected) in table {
        assert_eq!(fault_of(text), expected, "{text:?}");
    }
}

#[test]
fn too_many_nodes_are_refused() {
    let text = format!("[{}]", "1,".repeat(MOST_NODES));
    assert!(fault_of(&text).starts_with("too-large"));
}

#[test]
fn numbers_keep_the_text_they_were_written_as() {
    let Value::Mapping(entries) = document("a: 1e999\nb: 0011\nc: .inf\nd: '7'\n").unwrap().value else {
        panic!("not a mapping")
    };
    let values: Vec<Value> = entries.into_iter().map(|(_, value)| value.value).collect();
    let number = |text: &str| Value::Number(text.into());
    assert_eq!(values, [number("1e999"), number("0011"), number(".inf"), Value::Text("7".into())]);
}

#[test]
fn places_are_bytes_of_the_source() {
    let text = "# ä\nkey: \"ü\" # comment\n";
    let Value::Mapping(entries) = document(text).unwrap().value else { panic!("not a mapping") };
    let (key, value) = &entries[0];
    assert_eq!((&text[key.place.clone()], &text[value.place.clone()]), ("key", "\"ü\""));
}
