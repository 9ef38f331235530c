//! Items of files: made of content that was received, changed, given other content.

use serde_json::{Map, Value, json};

use super::receive::{Received, Said};
use super::{FILES, Library, Source, names, server_of};
use crate::access::{Action, Context};
use crate::db::JsonBytes;
use crate::error::{Error, Result};
use crate::items::{ItemPayload, OWN_OF_FILES, Operation, OwnValues, Targets};
use crate::query::{Query, Selection};
use crate::schema::{ColumnType, FieldKind, Schema};

/// Content with what its item shall say.
pub struct Upload {
    /// What the caller says of it.
    pub payload: ItemPayload,
    /// Its content.
    pub received: Received,
}

impl Library<'_> {
    /// Whether the caller may do this with files at all, and name these fields: asked before content is taken in.
    ///
    /// Fails with `Forbidden`.
    pub fn may(&self, ctx: &Context, action: Action, payload: &ItemPayload) -> Result<()> {
        let id = ctx.schema.find(FILES).ok_or(Error::Forbidden)?;
        let rules = ctx.allowed(id, action).ok_or(Error::Forbidden)?;
        let files = ctx.schema.collection(id);
        // The location alone may be chosen, where content comes with it.
        let is_open =
            |name: &str| ctx.rules.is_everything() || name == "storage" || !OWN_OF_FILES.contains(&name);
        let is_allowed = |name: &String| {
            is_open(name) && files.find(name).is_none_or(|field| rules.fields.contains(field))
        };
        if payload.keys().all(is_allowed) { Ok(()) } else { Err(Error::Forbidden) }
    }

    /// Takes content in for a new item. `payload` may name the location in `storage`.
    ///
    /// Fails with `Forbidden` before anything is read where the caller may make no such item.
    pub async fn take(
        &self,
        ctx: &Context,
        mut payload: ItemPayload,
        said: Said,
        source: &mut impl Source,
    ) -> Result<Upload> {
        self.may(ctx, Action::Create, &payload)?;
        let storage = location_of(&mut payload)?;
        let location = self.files.location(storage.as_deref())?;
        let received =
            Box::pin(self.files.receive(location, said, source, self.files.upload_bound())).await?;
        Ok(Upload { payload, received })
    }

    /// Takes content in that an item shall have in place of its own.
    ///
    /// Fails with `Forbidden` where there is no such item for the caller.
    pub async fn take_for(
        &self,
        ctx: &Context,
        key: &str,
        mut payload: ItemPayload,
        said: Said,
        source: &mut impl Source,
    ) -> Result<Upload> {
        self.may(ctx, Action::Update, &payload)?;
        let file = self.find(&server_of(ctx), key, "storage").await?;
        let storage = match location_of(&mut payload)? {
            Some(storage) => Some(storage),
            // A location that is no longer configured takes nothing.
            None => text(&file, "storage").filter(|name| self.files.storage.find(name).is_some()),
        };
        let location = self.files.location(storage.as_deref())?;
        let received =
            Box::pin(self.files.receive(location, said, source, self.files.upload_bound())).await?;
        Ok(Upload { payload, received })
    }

    /// Makes items of content, all or none, and reads them for the caller; one as itself, more as a list.
    pub async fn create(
        &self,
        ctx: &Context,
        uploads: Vec<Upload>,
        answer: Query,
    ) -> Result<Option<JsonBytes>> {
        let folder = if uploads.iter().any(|upload| !upload.payload.contains_key("folder")) {
            self.default_folder(ctx).await?
        } else {
            None
        };
        let (mut payloads, mut own, mut received) = (Vec::new(), Vec::new(), Vec::new());
        for upload in uploads {
            let mut values = own_values(ctx, &upload.received);
            values.otherwise.extend(first_values(&upload.received));
            values.otherwise.extend(folder.clone().map(|folder| ("folder".to_owned(), folder)));
            own.push(values);
            payloads.push(upload.payload);
            received.push(upload.received);
        }
        let operation = match payloads.len() {
            1 => Operation::Create(payloads.remove(0)),
            _ => Operation::CreateMany(payloads),
        };
        Box::pin(self.settle(ctx, operation, own, received, answer)).await
    }

    /// Gives an item other content.
    pub async fn replace(
        &self,
        ctx: &Context,
        key: &str,
        upload: Upload,
        answer: Query,
    ) -> Result<Option<JsonBytes>> {
        let Upload { payload, received } = upload;
        let mut own = own_values(ctx, &received);
        own.otherwise
            .extend(received.file_name.clone().map(|name| ("filename_download".to_owned(), json!(name))));
        let operation = Operation::Update(Targets::Key(key.to_owned()), payload);
        Box::pin(self.settle(ctx, operation, vec![own], vec![received], answer)).await
    }

    /// Makes items that say of content what nobody has sent: where it is, administrators say themselves.
    pub async fn declare(
        &self,
        ctx: &Context,
        payloads: Vec<ItemPayload>,
        is_single: bool,
        answer: Query,
    ) -> Result<Option<JsonBytes>> {
        let mut values = OwnValues::default();
        values.otherwise.insert("storage".to_owned(), json!(self.files.location(None)?.name()));
        let own = vec![values; payloads.len()];
        let mut payloads = payloads;
        let operation = match payloads.pop() {
            Some(only) if is_single => Operation::Create(only),
            last => {
                payloads.extend(last);
                Operation::CreateMany(payloads)
            }
        };
        Ok(Box::pin(self.items.write_files(ctx, operation, own, answer)).await?.body)
    }

    /// The write, after which content has an item or is removed.
    async fn settle(
        &self,
        ctx: &Context,
        operation: Operation,
        own: Vec<OwnValues>,
        mut received: Vec<Received>,
        answer: Query,
    ) -> Result<Option<JsonBytes>> {
        received.iter_mut().for_each(Received::offer);
        let written = Box::pin(self.items.write_files(ctx, operation, own, answer)).await;
        // A failure may be one of the answer alone, and an item may be gone: whoever tidies up looks whether there is one.
        let is_kept = written.as_ref().is_ok_and(|written| written.body.is_some());
        received.iter_mut().for_each(|content| content.settle(is_kept));
        Ok(written?.body)
    }

    /// The folder for files that name none.
    async fn default_folder(&self, ctx: &Context) -> Result<Option<Value>> {
        let settings = self.settings(ctx, "storage_default_folder").await?;
        Ok(settings.get("storage_default_folder").filter(|folder| !folder.is_null()).cloned())
    }

    /// Some of the settings of the project.
    pub(super) async fn settings(&self, ctx: &Context, fields: &str) -> Result<Map<String, Value>> {
        let query = json!({ "fields": fields });
        let read = self.read(&server_of(ctx), "directus_settings", Selection::Singleton, query).await?;
        Ok(match read {
            Value::Object(settings) => settings,
            _ => Map::new(),
        })
    }

    /// A file, as this caller sees it. Fails with `Forbidden`.
    pub(super) async fn find(&self, ctx: &Context, key: &str, fields: &str) -> Result<Map<String, Value>> {
        let selection = Selection::Key(key.to_owned());
        match self.read(ctx, FILES, selection, json!({ "fields": fields })).await? {
            Value::Object(file) => Ok(file),
            _ => Err(Error::Forbidden),
        }
    }
}

/// What the server says of content.
fn own_values(ctx: &Context, received: &Received) -> OwnValues {
    let size = received.facts.size;
    let now = ctx.now.strftime("%Y-%m-%dT%H:%M:%S.%3fZ").to_string();
    let always = json!({
        "storage": received.stored.storage,
        "filename_disk": received.stored.filename_disk,
        "filesize": received.size_bytes,
        "type": received.media_type,
        "width": size.map(|(width, _)| width),
        "height": size.map(|(_, height)| height),
        "metadata": received.facts.metadata,
        "uploaded_on": now,
    });
    let Value::Object(always) = always else { return OwnValues::default() };
    OwnValues { always, otherwise: ItemPayload::new() }
}

/// What a new item says where nobody says anything else.
fn first_values(received: &Received) -> ItemPayload {
    let name = received.file_name.clone().unwrap_or_else(|| {
        // Nameless content has the name that it has on the disk.
        received.stored.filename_disk.clone()
    });
    let mut values = ItemPayload::new();
    let title = received.facts.title.clone().unwrap_or_else(|| names::title(&name));
    values.insert("title".to_owned(), json!(title));
    values.insert("filename_download".to_owned(), json!(name));
    if let Some(description) = &received.facts.description {
        values.insert("description".to_owned(), json!(description));
    }
    if !received.facts.tags.is_empty() {
        values.insert("tags".to_owned(), json!(received.facts.tags));
    }
    values
}

/// The location that a payload asks for.
fn location_of(payload: &mut ItemPayload) -> Result<Option<String>> {
    match payload.shift_remove("storage") {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(name)) => Ok(Some(name)),
        Some(_) => Err(Error::payload("\"storage\" must be a text.")),
    }
}

pub(super) fn text(of: &Map<String, Value>, name: &str) -> Option<String> {
    of.get(name).and_then(Value::as_str).map(str::to_owned)
}

/// A field of a form, or of the head of an upload in pieces, as the value that its column takes.
pub fn form_value(schema: &Schema, name: &str, value: String) -> Value {
    let trimmed = value.trim();
    match trimmed {
        "null" => return Value::Null,
        "true" => return Value::Bool(true),
        "false" => return Value::Bool(false),
        _ => {}
    }
    let field = schema.get(FILES).and_then(|files| files.find(name).map(|field| files.field(field)));
    let Some(field) = field else { return Value::String(value) };
    let column = field.column.as_ref().map(|column| &column.column_type);
    let is_document = matches!(column, Some(ColumnType::Json))
        || matches!(field.kind, FieldKind::OneToMany { .. })
        || matches!(column, Some(ColumnType::Integer | ColumnType::BigInteger));
    match serde_json::from_str(trimmed) {
        Ok(parsed) if is_document => parsed,
        _ => Value::String(value),
    }
}
