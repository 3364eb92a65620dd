//! Filters and functions of our own.

use std::borrow::Cow;
use std::fmt::Write;

use minijinja::value::{Kwargs, Rest, Value, ValueKind};
use minijinja::{Error, State};

use super::fault::{failed, fault};
use super::run::Run;
use super::value::printed;
use super::{Kind, ProblemKind, limits, operators};

/// Escapes what derives from a label, for the kind of text that is rendered, unless a filter has done so.
pub(super) fn escape(state: &mut State<'_, '_>, value: Value) -> Result<Value, Error> {
    let Some(text) = value.as_str().filter(|_| !value.is_safe()) else {
        return Ok(value);
    };
    let run = Run::of(state)?;
    let escaped = match run.kind {
        Kind::Script => percent_encoded(text, is_script_byte),
        Kind::Json => json_content(text),
        Kind::Other => return Ok(value),
    };
    run.charge(escaped.len() as u64)?;
    Ok(Value::from_safe_string(escaped))
}

/// A label as it stands in such a text.
pub(super) fn push_escaped(kind: Kind, text: &str, out: &mut String) {
    match kind {
        Kind::Script if text.bytes().all(is_script_byte) => out.push_str(text),
        Kind::Script => out.push_str(&percent_encoded(text, is_script_byte)),
        Kind::Json => out.push_str(&json_content(text)),
        Kind::Other => out.push_str(text),
    }
}

/// The bytes that mean nothing to iPXE, wherever they stand in a script.
fn is_script_byte(byte: u8) -> bool {
    is_unreserved(byte) || matches!(byte, b':' | b'@' | b'/' | b'+' | b',' | b'=')
}

/// RFC 3986's unreserved characters.
fn is_unreserved(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~')
}

fn percent_encoded(text: &str, keep: fn(u8) -> bool) -> String {
    let mut encoded = String::with_capacity(text.len());
    for byte in text.bytes() {
        if keep(byte) {
            encoded.push(char::from(byte));
        } else {
            write!(encoded, "%{byte:02X}").expect("a string takes all that is written");
        }
    }
    encoded
}

/// A text as it stands between the quotes of a JSON string.
fn json_content(text: &str) -> String {
    let quoted = serde_json::to_string(text).expect("every text is a JSON string");
    quoted
        .get(1..quoted.len() - 1)
        .unwrap_or_default()
        .to_owned()
}

/// A text as a literal of the template language.
pub(super) fn quoted(text: &str) -> String {
    let mut quoted = String::with_capacity(text.len() + 2);
    quoted.push('"');
    for char in text.chars() {
        match char {
            '"' | '\\' => quoted.extend(['\\', char]),
            '\n' => quoted.push_str("\\n"),
            char => quoted.push(char),
        }
    }
    quoted.push('"');
    quoted
}

/// `|safe`: as it is.
pub(super) fn safe(state: &mut State<'_, '_>, value: &Value) -> Result<Value, Error> {
    Ok(Value::from_safe_string(text(state, value)?.into_owned()))
}

/// `|sh`: one word of a POSIX shell.
pub(super) fn sh(state: &mut State<'_, '_>, value: &Value) -> Result<Value, Error> {
    let text = text(state, value)?;
    Ok(Value::from_safe_string(format!(
        "'{}'",
        text.replace('\'', r"'\''")
    )))
}

/// `|urlencode`: everything but RFC 3986's unreserved characters as `%XX`.
pub(super) fn urlencode(state: &mut State<'_, '_>, value: &Value) -> Result<Value, Error> {
    Ok(Value::from_safe_string(percent_encoded(
        &text(state, value)?,
        is_unreserved,
    )))
}

/// What a value prints, charged for.
fn text<'v>(state: &State<'_, '_>, value: &'v Value) -> Result<Cow<'v, str>, Error> {
    let text = printed(value)?;
    Run::of(state)?.charge(text.len() as u64)?;
    Ok(text)
}

/// `|tojson`: compact, keys sorted.
pub(super) fn tojson(state: &mut State<'_, '_>, value: &Value) -> Result<Value, Error> {
    if value.is_undefined() {
        return Err(Error::from(minijinja::ErrorKind::UndefinedError));
    }
    Run::of(state)?.measure(value)?;
    let json = serde_json::to_value(value).map_err(|_| failed("this is nothing that JSON has"))?;
    Ok(Value::from_safe_string(json.to_string()))
}

/// `|yaml`: a text as a double-quoted scalar, numbers and booleans as they are, lists and maps in one line.
pub(super) fn yaml(state: &mut State<'_, '_>, value: &Value) -> Result<Value, Error> {
    let Some(text) = value.as_str() else {
        return tojson(state, value);
    };
    Run::of(state)?.charge(text.len() as u64)?;
    let mut quoted = String::with_capacity(text.len() + 2);
    quoted.push('"');
    for char in text.chars() {
        match char {
            '"' | '\\' => quoted.extend(['\\', char]),
            '\n' => quoted.push_str("\\n"),
            '\t' => quoted.push_str("\\t"),
            '\r' => quoted.push_str("\\r"),
            // YAML 1.1 breaks lines at these, and no document starts with a byte order mark by intent.
            '\u{2028}' | '\u{2029}' | '\u{FEFF}' => push_escape(&mut quoted, 'u', 4, char),
            char if char.is_control() => push_escape(&mut quoted, 'x', 2, char),
            char => quoted.push(char),
        }
    }
    quoted.push('"');
    Ok(Value::from_safe_string(quoted))
}

fn push_escape(text: &mut String, letter: char, width: usize, char: char) {
    write!(text, "\\{letter}{:0width$X}", u32::from(char))
        .expect("a string takes all that is written");
}

/// `|string`: what it prints.
pub(super) fn string(value: &Value) -> Result<Value, Error> {
    if value.as_str().is_some() {
        Ok(value.clone())
    } else {
        Ok(Value::from(printed(value)?.into_owned()))
    }
}

/// `|replace(from, to)`.
pub(super) fn replace(
    state: &mut State<'_, '_>,
    value: &Value,
    from: &Value,
    to: &Value,
) -> Result<Value, Error> {
    let (text, from, to) = (printed(value)?, printed(from)?, printed(to)?);
    let hits = text.matches(from.as_ref()).count() as u64;
    Run::of(state)?.charge(
        hits.saturating_mul(to.len() as u64)
            .saturating_add(text.len() as u64),
    )?;
    Ok(Value::from(text.replace(from.as_ref(), &to)))
}

/// `|join(separator)`, `|join(d=…, attribute=…)`.
#[expect(
    clippy::needless_pass_by_value,
    reason = "minijinja hands over keyword arguments by value"
)]
pub(super) fn join(
    state: &mut State<'_, '_>,
    value: &Value,
    separator: Option<&Value>,
    options: Kwargs,
) -> Result<Value, Error> {
    let run = Run::of(state)?;
    let named: Option<Value> = options.get("d")?;
    let attribute: Option<&str> = options.get("attribute")?;
    options.assert_all_used()?;
    let separator = separator
        .or(named.as_ref())
        .map_or(Ok("".into()), printed)?;
    let mut joined = String::new();
    for (index, item) in value.try_iter()?.enumerate() {
        let item = field(item, attribute)?;
        let item = printed(&item)?;
        let separator = if index == 0 { "" } else { separator.as_ref() };
        run.charge((separator.len() + item.len()) as u64 + 1)?;
        joined.push_str(separator);
        joined.push_str(&item);
    }
    Ok(Value::from(joined))
}

/// `|sum`, `|sum(attribute=…)`: of numbers.
#[expect(
    clippy::needless_pass_by_value,
    reason = "minijinja hands over keyword arguments by value"
)]
pub(super) fn sum(
    state: &mut State<'_, '_>,
    value: &Value,
    attribute: Option<&str>,
    options: Kwargs,
) -> Result<Value, Error> {
    let named: Option<&str> = options.get("attribute")?;
    options.assert_all_used()?;
    let mut sum = Value::from(0);
    for item in value.try_iter()? {
        let item = field(item, attribute.or(named))?;
        if !matches!(item.kind(), ValueKind::Number | ValueKind::Bool) {
            return Err(failed(format!("`sum` adds numbers, not a {}", item.kind())));
        }
        sum = operators::add(state, &sum, &item)?;
    }
    Ok(sum)
}

/// A field of an item, by a path with dots.
fn field(item: Value, path: Option<&str>) -> Result<Value, Error> {
    path.into_iter()
        .flat_map(|path| path.split('.'))
        .try_fold(item, |item, name| item.get_attr(name))
}

/// Ensure that `indent`, `batch` and `slice` are not asked for absurd widths, and charge for what they add.
pub(super) fn widths(run: &Run, name: &str, arguments: &[Value]) -> Result<(), Error> {
    let width = match (name, arguments.get(1)) {
        ("indent" | "batch" | "slice", Some(width)) => match Kwargs::try_from(width.clone()) {
            Ok(options) => options.get::<Option<Value>>("width")?,
            Err(_) => Some(width.clone()),
        },
        _ => None,
    };
    let Some(width) = width.and_then(|width| width.as_i64()) else {
        return Ok(());
    };
    let width = u64::try_from(width).unwrap_or(0);
    if width > limits::WIDTH as u64 {
        return Err(failed(format!("`{name}` takes at most {}", limits::WIDTH)));
    }
    let lines = arguments
        .first()
        .and_then(Value::as_str)
        .map_or(1, |text| text.split('\n').count());
    run.charge((lines as u64).saturating_mul(width))
}

/// `range(stop)`, `range(start, stop)`, `range(start, stop, step)`.
pub(super) fn range(first: i64, second: Option<i64>, step: Option<i64>) -> Result<Value, Error> {
    let (start, end) = second.map_or((0, first), |second| (first, second));
    let (start, end, step) = (
        i128::from(start),
        i128::from(end),
        i128::from(step.unwrap_or(1)),
    );
    if step == 0 {
        return Err(failed("the step of a `range` cannot be 0"));
    }
    let items = ((end - start + step - step.signum()) / step).max(0);
    if items > limits::RANGE {
        return Err(failed(format!(
            "a `range` has at most {} items",
            limits::RANGE
        )));
    }
    let items = (0..items).map(|index| i64::try_from(start + index * step));
    let items: Result<Vec<i64>, _> = items.collect();
    Ok(Value::from(
        items.map_err(|_| failed("the calculation has no result"))?,
    ))
}

/// `value is divisibleby(other)`: minijinja's own panics for 0.
pub(super) fn is_divisibleby(value: &Value, other: &Value) -> bool {
    match (i128::try_from(value.clone()), i128::try_from(other.clone())) {
        (Ok(value), Ok(other)) => value.checked_rem(other) == Some(0),
        _ => false,
    }
}

/// Charges for the literal text of a body, and is never true.
pub(super) fn is_charged(state: &State<'_, '_>, bytes: u64) -> Result<bool, Error> {
    Run::of(state)?.charge(bytes)?;
    Ok(false)
}

/// Charges for a whole value, and bounds its depth.
pub(super) fn measure(state: &mut State<'_, '_>, value: Value) -> Result<Value, Error> {
    Run::of(state)?.measure(&value)?;
    Ok(value)
}

/// Charges for finding one item: in a text, and in what has no order of its own, by counting from the start.
pub(super) fn reach_item(state: &mut State<'_, '_>, value: Value) -> Result<Value, Error> {
    match value.kind() {
        ValueKind::String | ValueKind::Iterable => reach_slice(state, value),
        _ => Ok(value),
    }
}

/// Charges for finding a slice, which counts from the start, too.
pub(super) fn reach_slice(state: &mut State<'_, '_>, value: Value) -> Result<Value, Error> {
    let steps = match value.as_str() {
        Some(text) => text.len(),
        None => value.len().unwrap_or(0),
    };
    Run::of(state)?.charge(steps as u64)?;
    Ok(value)
}

/// A test of minijinja's, charged for.
pub(super) fn tested(
    state: &mut State<'_, '_>,
    test: &Value,
    arguments: Rest<minijinja::value::ValueOrKwargs>,
) -> Result<Value, Error> {
    let arguments = arguments.into_values();
    let run = Run::of(state)?;
    if let Some(other) = arguments.get(1) {
        run.measure(other)?;
    }
    run.touch(arguments.first().unwrap_or(&Value::UNDEFINED))?;
    test.call(state, &arguments)
}

/// A filter of minijinja's, charged for. What it makes of an escaped text is not escaped any more.
pub(super) fn charged(
    state: &mut State<'_, '_>,
    name: &'static str,
    filter: &Value,
    arguments: Rest<minijinja::value::ValueOrKwargs>,
) -> Result<Value, Error> {
    let run = Run::of(state)?;
    let keeps = matches!(name, "default" | "d");
    let compares = matches!(
        name,
        "sort" | "unique" | "groupby" | "min" | "max" | "dictsort"
    );
    let mut arguments = arguments.into_values();
    for argument in &mut arguments {
        if compares {
            run.measure(argument)?;
        } else {
            run.touch(argument)?;
        }
        if argument.is_safe() && !keeps {
            *argument = Value::from(argument.as_str().unwrap_or_default());
        }
    }
    widths(&run, name, &arguments)?;
    let result = filter.call(state, &arguments)?;
    run.measure(&result)?;
    if result.kind() == ValueKind::Invalid {
        return Err(fault(ProblemKind::Failed("the filter failed".into())));
    }
    Ok(result)
}
