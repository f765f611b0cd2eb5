const response = fetch("api/products");
response.then((r) => r.json()).then((products) => {
  const table = document.getElementById("products");
  for (const product of products) {
    const row = table.insertRow();
    row.insertCell().textContent = product.name;
    row.insertCell().textContent = product.price;
  }
});
